"""Two linear layers, one after the other, with nothing between them."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "linear_layers",
    title="Two linear layers: z = V h + v, y = U z + u",
    source="from the definition",
)
def linear_layers() -> Program:
    return program(
        "linear_layers",
        inputs={"V": "ck", "v": "c", "h": "ik", "U": "dc", "u": "d"},
        statements=[
            ("Vh", real("V") * real("h"), "k"),
            ("z", real("Vh") + real("v"), ""),
            ("Uz", real("U") * real("z"), "c"),
            ("y", real("Uz") + real("u"), ""),
        ],
        outputs=["y"],
        sizes={"i": size("m"), "c": size("C"), "k": size("K"), "d": size("D")},
    )
