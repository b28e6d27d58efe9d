"""A model as one file to pass on.

`export` writes it, `document` reads it back and checks that its parts belong together, `card` says what it is, `segmenter`
makes it ready to segment, `onnx_model` writes its networks for other programs; `archive` and `untrusted` are their parts.
"""
