"""Every bound of the server, each with its unit."""

# Model files
MODEL_BYTES = 64 * 2**20  # bytes
MODEL_NODES = 1_000  # operators
MODEL_VALUE_ELEMENTS = 2**20  # numbers in any one value, per image
MODEL_OPERATIONS = 4 * 10**9  # multiply-adds per image
MODELS = 256  # files in one server

# Connections
CONNECTIONS = 1_024  # open at once in one worker; more wait
HELD_BYTES = 256 * 2**20  # bytes of request bodies held at once, all connections together

# One request
TARGET_BYTES = 2 * 2**10  # bytes of path and query
HEAD_BYTES = 16 * 2**10  # bytes of request line and headers
TENSOR_BYTES = 2 * 2**20  # bytes of an OIP body, also once decompressed
UPLOAD_BYTES = 8 * 2**20  # bytes of a body with pictures, also once decompressed
UPLOADS = 32  # pictures in one request
BATCH_IMAGES = 64  # images in one request, and in one run
ABLATIONS = 256  # units switched off in one explanation

# Work waiting
QUEUE_IMAGES = 256  # images waiting for one model
WORKERS = 2  # threads for pictures, explanations and slow networks
WORKER_QUEUE = 32  # jobs waiting for those threads
INLINE_SECONDS = 0.005  # a run expected to last longer leaves the event loop to a thread

# Time, in seconds
HEAD_SECONDS = 10.0  # for the headers, from the first byte or from the answer before
BODY_SECONDS = 30.0  # from the end of the headers to the end of the body
ANSWER_SECONDS = 5.0  # from a complete request to its answer, unless the client asks for less
GRACE_SECONDS = 10.0  # for accepted work after SIGTERM
RETRY_SECONDS = 1  # what Retry-After suggests
TICK_SECONDS = 0.1  # between two looks at all of the above
RELOAD_SECONDS = 1.0  # between two looks at the model files

# Answers
COMPRESS_BYTES = (1_024, 256 * 2**10)  # bytes between which an answer is worth compressing in the event loop
LOG_BACKLOG = 10_000  # log chunks waiting for a slow reader; more are dropped and counted
