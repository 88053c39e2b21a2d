"""Published corpora of emotional speech, one file each."""
