"""Export: a trained model as a folder for other runtimes, for transformers, or for the Hugging Face hub.

`onnx.py` a graph from the wave to probabilities, with an example that needs no torch (`example.py`) · `hf.py` a folder
that transformers' pipeline runs, by affetto's own class or a stock one (`stock.py`) · `parity.py` what either is
compared on before it appears · `share.py` and `modelcard.py` a folder to publish.
"""
