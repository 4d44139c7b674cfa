"""Make the Python stubs from the proto file (extra ``dev``): ``make protos``.

The generator places modules by the proto's package, ``auralink.aic.v1``; ours lie here, so one
import is rewritten.  In the descriptors the file keeps the name that it has for all languages.
"""

import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

RPC: Final = Path(__file__).parents[1]
PROTO: Final = "auralink/aic/v1/aic_compression.proto"
_THEIRS: Final = "from auralink.aic.v1 import"
_OURS: Final = "from auralink.engine.rpc.stubs import"


def generate() -> Mapping[str, str]:
    """Texts by file name.

    Raises:
        RuntimeError: the compiler refused the proto file; it said why on stderr.
    """
    from grpc_tools import protoc

    common = resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        words = [f"-I{RPC / 'proto'}", f"-I{common}", f"--python_out={out}", f"--pyi_out={out}"]
        if protoc.main(["protoc", *words, f"--grpc_python_out={out}", PROTO]):
            raise RuntimeError("protoc failed")
        made = sorted((out / PROTO).parent.iterdir())
        return {path.name: path.read_text("utf-8").replace(_THEIRS, _OURS) for path in made}


def main() -> int:
    for name, text in generate().items():
        (Path(__file__).parent / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
