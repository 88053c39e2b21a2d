"""Trained models over HTTP, on the loopback interface unless told otherwise: an API, and a page for a browser."""
