"""Weights of pretrained transformers, from folders in the Hugging Face layout.

``families``: the names of tensors and of numbers; ``tensors``, ``checkpoint``: a folder;
``option``: the table [model.pretrained]; ``fitting``: what of a case goes with it. No code of a
folder is run: of its files only config.json, the index and .safetensors are opened.
"""
