"""Pre-trained encoders: families, checkpoints, and the hidden states that they give."""
