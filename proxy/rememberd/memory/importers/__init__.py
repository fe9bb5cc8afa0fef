"""Other tools' exports, read into lines of `POST /v1/memories/import`. Pure: bytes in, dictionaries out."""
