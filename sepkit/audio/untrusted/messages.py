"""Messages between `Decoder` and its child process.

A request is a line of JSON on stdin: the working folder, a path, the action ("describe", "count" or "decode"), and to
decode: the fields of the file's `AudioInfo`, the first frame, and the number of frames. The reply is a sequence of
messages on stdout, each after its kind and its length in bytes: facts, that is JSON, or samples, float32 [time,
channel]. The facts are rate, channels, frames (null if they have to be counted) and tags; or the frames that were
counted; or, at the end, the seconds that were filled with silence; or nothing, as a sign of life. Samples of length 0
end a reply, and so do facts that hold an error, at any place.
"""

from struct import Struct

HEAD = Struct("=cI")
FACTS, SAMPLES = b"F", b"S"
# Samples of a block: one second of it, but no more than this.
BLOCK = 2**20
