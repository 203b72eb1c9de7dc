"""TVM's gradient cases with stride and dilation: 27 convolutions and 9 poolings.

Source of the sizes: apache/tvm (Apache-2.0), tests/python/unittest/test_te_autodiff.py, test_stride_dilation, at
720e7b1ebd9b789a1100dee7536d0633c7941dd1. An image of 1 x 2 x 10 x 10; kernels of 1, 2 and 3 a side, strides of 1, 2
and 3, dilations of 1, 2 and 3, no padding; max pooling over windows of 1, 2 and 3 with strides of 1, 2 and 3.
"""

from itertools import product

from tests.suites.windows import Convolution, MaxPooling

CONVOLUTIONS = {
    f"kernel{k}-stride{s}-dilation{d}": Convolution(
        image=(10, 10), kernel=(k, k), stride=(s, s), padding=(0, 0), dilation=(d, d), batch=1, channels=2, outputs=2)
    for k, d, s in product((1, 2, 3), repeat=3)}

POOLINGS = {
    f"window{k}-stride{s}": MaxPooling(image=(10, 10), kernel=(k, k), stride=(s, s), batch=1, channels=2)
    for k, s in product((1, 2, 3), repeat=2)}
