"""Predictors by the kind of model: trained here, ONNX, transformers."""
