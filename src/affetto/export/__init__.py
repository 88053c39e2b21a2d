"""Export: a trained model as a folder for other runtimes, for transformers, or for the Hugging Face hub.

`onnx_graph.py`: a graph from the wave to probabilities, with an example that needs no torch (`example.py`).
`transformers_js.py`: a folder for browsers, whose graph takes whole clips (`clip_graph.py`) in three precisions,
and a page that runs it (`browser_page.py`).
`transformers_folder.py`: a folder that transformers' pipeline runs, by affetto's own class or a stock one (`stock.py`).
`parity.py`: the comparison with the trained model before either appears.
`upload.py`, `modelcard.py`: a folder to publish.
"""
