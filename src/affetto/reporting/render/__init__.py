"""Tables and figures as files: sheets and their formats, the canvas of figures, the stamp on synthetic speech."""
