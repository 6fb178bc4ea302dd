"""The stored form of the cells of one chunk and window: a document of columns. See `layout` for its fields."""

from vigie_windows.chunks.layout import ALL, Column, Document, stored_fields
from vigie_windows.chunks.reading import decode, decode_many
from vigie_windows.chunks.writing import encode, encode_all

__all__ = ["ALL", "Column", "Document", "decode", "decode_many", "encode", "encode_all", "stored_fields"]
