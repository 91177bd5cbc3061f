"""Every bound of the server, each with its unit."""

# Model files
MODEL_BYTES = 64 * 2**20  # bytes
MODEL_NODES = 1_000  # operators
MODEL_VALUE_ELEMENTS = 2**20  # numbers in any one value, per image
MODEL_OPERATIONS = 4 * 10**9  # multiply-adds per image
