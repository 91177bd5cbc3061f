"""Answers from ONNX files alone: protocol, inference, HTTP, the page."""

__version__ = "0.1.0"
