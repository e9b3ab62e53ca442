"""The one child process of this service that speaks with transformers: its tokenizers, never torch."""
