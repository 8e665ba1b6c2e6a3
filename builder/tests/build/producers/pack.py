"""Packs the current directory as Python's own ways do: zipfile, shutil, to a pipe, with 64-bit sizes forced."""
import os, shutil, sys, zipfile

way, out = sys.argv[1], os.environ["OUT"]
paths = sorted(os.path.relpath(os.path.join(d, f)) for d, _, fs in os.walk(".") for f in fs)


class Pipe:
    """What cannot seek is written with data descriptors."""

    def write(self, data):
        return sys.stdout.buffer.write(data)

    def flush(self):
        sys.stdout.buffer.flush()


if way == "shutil":
    shutil.make_archive(out.removesuffix(".zip"), "zip", ".")
elif way == "zip64":
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for path in paths:
            with z.open(path, "w", force_zip64=True) as entry, open(path, "rb") as file:
                entry.write(file.read())
else:
    with zipfile.ZipFile(Pipe() if way == "pipe" else out, "w", zipfile.ZIP_DEFLATED) as z:
        for path in paths:
            z.write(path)
