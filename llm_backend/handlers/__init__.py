"""One module per tag, one thin function per served operation: take, call, shape."""
