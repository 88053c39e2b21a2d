"""Models: a frozen front end, transformer blocks that PEFT may adapt, and a head."""
