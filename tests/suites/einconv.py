"""einconv's cases: 21 for the input's gradient, 21 for the weight's, and the 24 of the convolution itself, 66 in all.

Source of the sizes: f-dangel/einconv (MIT), at 8cc761e6eb181532a497aefd2ba73e0ce80b9c8d:
test/expressions/convNd_input_vjp_cases.py and convNd_weight_vjp_cases.py, whose tables are equal, and
test/functionals/conv_cases.py, which has the same sizes with a bias in most, and three cases in four dimensions.

Padding "same" is d(U - 1)/2 on either side: d(U - 1) is even in all of these cases.
"""

from dataclasses import replace

from tests.suites.windows import Convolution, Sizes


def sizes(image: Sizes, kernel: Sizes, stride: int | Sizes = 1, padding: int | str | Sizes = 0,
          dilation: int | Sizes = 1, groups: int = 1, channels: int = 3, outputs: int = 4) -> Convolution:
    """A line of the table; one number stands for all dimensions. Channels and outputs are per group."""
    every = lambda v: (v,) * len(image) if isinstance(v, int) else v
    if padding == "same":
        padding = tuple(d * (u - 1) // 2 for d, u in zip(every(dilation), kernel, strict=True))
    return Convolution(image, kernel, every(stride), every(padding), every(dilation), 2, groups, channels, outputs)


VJP = {
    "1d":                        sizes((50,), (5,)),
    "1d-stride":                 sizes((50,), (5,), stride=2),
    "1d-stride-groups":          sizes((50,), (5,), stride=3, groups=2, channels=2, outputs=3),
    "1d-padding":                sizes((50,), (5,), padding=2),
    "1d-padding-stride":         sizes((50,), (5,), padding=2, stride=3, dilation=1),
    "1d-dilation":               sizes((50,), (5,), dilation=2),
    "1d-same":                   sizes((20,), (5,), padding="same"),
    "2d":                        sizes((50, 40), (5, 5)),
    "2d-stride":                 sizes((50, 40), (5, 5), stride=2),
    "2d-stride-groups":          sizes((50, 40), (5, 5), stride=3, groups=2, channels=2, outputs=3),
    "2d-padding":                sizes((50, 40), (5, 6), padding=2),
    "2d-padding-stride-dilation": sizes((50, 40), (5, 3), padding=(2, 1), stride=(3, 2), dilation=(1, 2)),
    "2d-dilation":               sizes((50, 40), (5, 6), dilation=2),
    "2d-same":                   sizes((50, 40), (5, 3), padding="same", dilation=(1, 2)),
    "3d":                        sizes((50, 40, 30), (5, 5, 5)),
    "3d-stride":                 sizes((50, 40, 30), (5, 5, 5), stride=2),
    "3d-stride-groups":          sizes((50, 40, 30), (5, 5, 5), stride=3, groups=2, channels=2, outputs=3),
    "3d-padding":                sizes((50, 40, 30), (5, 6, 7), padding=2),
    "3d-padding-stride-dilation": sizes((50, 40, 30), (5, 3, 2), padding=(2, 1, 0), stride=(3, 2, 1),
                                       dilation=(1, 2, 3)),
    "3d-dilation":               sizes((50, 40, 40), (5, 6, 7), dilation=2),
    "3d-same":                   sizes((50, 40, 30), (5, 3, 2), padding="same", dilation=(1, 2, 2)),
}

WITHOUT_BIAS = {f"{n}d{what}" for n in (1, 2, 3) for what in ("", "-dilation")}

CONVOLUTION = {name: replace(case, bias=name not in WITHOUT_BIAS) for name, case in {
    **VJP,
    "4d":                        sizes((25, 20, 15, 10), (5, 5, 5, 5)),
    "4d-everything":             sizes((40, 35, 30, 25), (5, 5, 4, 3), padding=(2, 1, 0, 1), stride=(3, 2, 1, 2),
                                       dilation=(3, 2, 3, 1), groups=2, channels=1, outputs=2),
    "4d-same":                   sizes((10, 8, 6, 5), (5, 5, 4, 3), padding="same", dilation=(2, 2, 2, 1), groups=2,
                                       channels=1, outputs=2),
}.items()}

# What a case asks for: the gradient of the input, of the weight, or of everything.
CASES = {**{f"input-{name}": (case, ("X",)) for name, case in VJP.items()},
         **{f"weight-{name}": (case, ("W",)) for name, case in VJP.items()},
         **{f"convolution-{name}": (case, None) for name, case in CONVOLUTION.items()}}
