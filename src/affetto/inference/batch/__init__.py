"""Many recordings labelled: inputs, outputs, this machine or a cluster."""
