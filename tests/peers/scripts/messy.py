"""Prints what terminals and decoders dislike."""
import sys

out = sys.stdout.buffer
out.write(b"plain \xff\xfe bytes \xc3\xa4\n")
out.write(b"\x1b]0;title\x07\x1b[31mred\x1b[0m and a NUL \x00 here\n")
for step in (10, 50, 100):
    out.write(b"\rprogress %d%%" % step)
out.write(b"\n\n")
out.write(b"L" * 600000 + b"\n")
out.write(b"last line without an end")
out.flush()
