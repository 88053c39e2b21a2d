"""Speed of training and prediction on this machine, beside code that is written without affetto."""
