"""The second table: layers of the tests' zoo at the sizes of real networks, beside PyTorch eager at its best.

The text is the zoo's; where PyTorch has the layer as one call (an LSTM over all steps, fused attention), that call is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import nnderiv as nd
from tests.suites.zoo import alignment, attention, convolution, normalisation, pooling, recurrent
from tests.suites.zoo import losses as loss

from . import by_hand_layers
from .work import Work

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Layer:
    case: Any                       # of the zoo
    torch: Callable[..., Any]       # (torch, inputs by name) -> output or outputs
    draws: dict[str, Any]           # a shape, a number, or a function of a generator
    hand: Callable[..., Any] | None = None
    loop: bool = False              # PyTorch has no call for it, and goes step by step from Python

    def inputs(self, rng: np.random.Generator) -> dict[str, Any]:
        return {name: _draw(value, rng) for name, value in self.draws.items()}

    def work(self, rng: np.random.Generator) -> Work:
        program = nd.parse(self.case.text)
        inputs = self.inputs(rng)
        wrt = tuple(i.name for i in program.inputs if i.kind == "real")
        derivation = nd.derive(program)
        outputs = derivation.compile().forward(**inputs)[0]
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        seeds = {name: rng.standard_normal(o.shape).astype(np.float32)  # none for a lone scalar, which is seeded with 1
                 for name, o in zip(derivation.gradients.seeds.values(), outputs, strict=False)}
        return Work(self.case.name, self.case.text, inputs, wrt, seeds, self.hand, torch={"torch": self.torch})


def _draw(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, tuple):
        return (0.1 * rng.standard_normal(value)).astype(np.float32)
    return value(rng) if callable(value) else value


def positive(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.5, 1.5, shape).astype(np.float32)


def normal(*shape: int) -> Draw:
    return lambda rng: rng.standard_normal(shape).astype(np.float32)


def integers(high: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(high, size=shape)


def layers() -> Iterator[Layer]:
    yield from gated_cells()
    yield from scans()
    yield from normalisations()
    yield from masked_attention()
    yield from losses()
    yield from chains()
    yield from poolings()
    yield from convolutions()


def _cell(name: str) -> Callable[..., Any]:
    """torch.lstm, torch.gru, torch.rnn_tanh: (t, x, states, *weights of each layer) -> outputs and last states."""

    def cell(t: Any, x: Any, states: Any, *weights: Any) -> Any:
        return getattr(t, name)(x, states, list(weights), True, len(weights) // 4, 0.0, False, False, False)

    return cell


_lstm, _gru, _rnn = _cell("lstm"), _cell("gru"), _cell("rnn_tanh")
T, N, I, H = 64, 32, 64, 128


def _lstm_last(t: Any, x: Any, **w: Any) -> Any:
    U, W, b = (t.cat([w[k + g] for g in "ifgo"]) for k in "UWb")
    zero = x.new_zeros(1, N, H)
    return _lstm(t, x, (zero, zero), U, W, b, t.zeros_like(b))[1][0]


def _lstm_all(t: Any, x: Any, U: Any, W: Any, b: Any, h0: Any, c0: Any) -> Any:
    b = b.flatten()
    return _lstm(t, x, (h0[None], c0[None]), U.flatten(0, 1), W.flatten(0, 1), b, t.zeros_like(b))[0]


def _gru_all(t: Any, x: Any, h0: Any, Ur: Any, Uz: Any, Un: Any, Wr: Any, Wz: Any, Wn: Any, b: Any, a: Any) -> Any:
    zero = t.zeros_like(a)
    return _gru(t, x, h0[None], t.cat([Ur, Uz, Un]), t.cat([Wr, Wz, Wn]), b.flatten(), t.cat([zero, zero, a]))[0]


def _two_rnns(t: Any, x: Any, U: Any, W: Any, P: Any, Q: Any, b: Any, c: Any, h0: Any, g0: Any) -> Any:
    zero = t.zeros_like(b)
    return _rnn(t, x, t.stack([h0, g0]), U, W, b, zero, P, Q, c, zero)[0]


def _scanned(case: Any) -> Callable[..., Any]:
    """The zoo's own step by step definition: PyTorch has no single call."""
    return lambda t, **v: case.torch(**v)


def _minimal(t: Any, x: Any, U: Any, W: Any, P: Any, Q: Any, b: Any, c: Any) -> Any:
    a, d, h, states = x @ U.T + b, x @ P.T + c, x.new_zeros(N, H), []
    for step in range(T):
        f = t.sigmoid(t.addmm(a[step], h, W.T))
        h = t.lerp(h, t.tanh(t.addmm(d[step], f * h, Q.T)), f)
        states.append(h)
    return t.stack(states)


def gated_cells() -> Iterator[Layer]:
    x, square, wide, row = (T, N, I), (H, H), (H, I), (H,)
    yield Layer(recurrent.lstm_gate_by_gate_last_state, _lstm_last, {
        "x": x, **{f"U{g}": wide for g in "ifgo"}, **{f"W{g}": square for g in "ifgo"}, **{f"b{g}": row for g in "ifgo"}})
    one = replace(recurrent.lstm, name="lstm_with_its_gates_in_one_tensor", text=recurrent.lstm.text.replace("-> h, c", "-> h"))
    yield Layer(one, _lstm_all, {
        "x": x, "U": (4, *wide), "W": (4, *square), "b": (4, H), "h0": (N, H), "c0": (N, H)}, by_hand_layers.lstm)
    yield Layer(recurrent.gru, _gru_all, {"x": x, "h0": (N, H), "Ur": wide, "Uz": wide, "Un": wide, "Wr": square, "Wz": square,
                                          "Wn": square, "b": (3, H), "a": row})
    yield Layer(recurrent.minimal_gated_unit, _minimal, {
        "x": x, "U": wide, "W": square, "P": wide, "Q": square, "b": row, "c": row}, loop=True)
    yield Layer(recurrent.two_stacked_rnns, _two_rnns, {"x": x, "U": wide, "W": square, "P": square, "Q": square, "b": row, "c": row,
                                                        "h0": (N, H), "g0": (N, H)})
    yield Layer(recurrent.simple_recurrent_unit, _scanned(recurrent.simple_recurrent_unit), {
        "x": (T, N, H), "Wf": square, "Wr": square, "W": square, "bf": row, "br": row}, loop=True)


def scans() -> Iterator[Layer]:
    yield Layer(recurrent.linear_state_space, _scanned(recurrent.linear_state_space), {
        "u": (256, 16), "A": (32, 32), "B": (32, 16), "C": (16, 32), "D": (16, 16), "h0": (32,)}, loop=True)
    yield Layer(recurrent.selective_scan, _scanned(recurrent.selective_scan), {
        "x": (128, 64), "delta": positive(128, 64), "A": lambda rng: -positive(64, 16)(rng), "B": (128, 16), "C": (128, 16),
        "skip": (64,)}, loop=True)
    yield Layer(recurrent.discounted_returns, _scanned(recurrent.discounted_returns), {
        "r": (256, 256), "gamma": np.float32(0.9)}, loop=True)
    yield Layer(recurrent.cumulative_sum, _scanned(recurrent.cumulative_sum), {"x": (256, 1024)})
    yield Layer(recurrent.cumulative_product, _scanned(recurrent.cumulative_product), {"x": positive(256, 1024)})
    yield Layer(recurrent.running_maximum, _scanned(recurrent.running_maximum), {"x": normal(4096)})
    yield Layer(recurrent.running_logsumexp, _scanned(recurrent.running_logsumexp), {"x": normal(4096)})


def normalisations() -> Iterator[Layer]:
    yield Layer(normalisation.layer_norm_over_a_sequence, lambda t, x, g, b: t.nn.functional.layer_norm(x, (256,), g, b, eps=1e-5),
                {"x": (32, 64, 256), "g": (256,), "b": (256,)}, by_hand_layers.layer_norm)
    yield Layer(normalisation.batch_norm, _scanned(normalisation.batch_norm), {"x": (1024, 256), "g": (256,), "b": (256,)},
                by_hand_layers.batch_norm)
    yield Layer(normalisation.group_norm, lambda t, X, g, b: t.nn.functional.group_norm(
        X.flatten(1, 2), 4, g.flatten(), b.flatten(), eps=1e-5).reshape(X.shape), {"X": (16, 4, 8, 16, 16), "g": (4, 8), "b": (4, 8)})
    yield Layer(normalisation.rms_norm, lambda t, x, g: t.nn.functional.rms_norm(x, (256,), g, eps=1e-6), {"x": (2048, 256), "g": (256,)})
    yield Layer(normalisation.instance_norm, _scanned(normalisation.instance_norm), {"X": (16, 32, 16, 16)})


def masked_attention() -> Iterator[Layer]:
    q = (16, 128, 64)
    yield Layer(attention.causal_attention, _scanned(attention.causal_attention), {"Q": q, "K": q, "V": q},
                by_hand_layers.causal_attention)
    yield Layer(attention.attention_with_a_padding_mask, _scanned(attention.attention_with_a_padding_mask), {
        "Q": q, "K": q, "V": q, "mask": lambda rng: (np.arange(128) < rng.integers(32, 128, size=(16, 1))).astype(np.int64)})
    yield Layer(attention.attention_with_linear_biases, lambda t, Q, K, V, slope: _linear_biases(t, Q, K, V, slope), {
        "Q": q, "K": q, "V": q, "slope": positive(16)})
    yield Layer(attention.attention_with_relative_positions, _relative, {"Q": q, "K": q, "V": q, "R": (255, 64)})
    yield Layer(attention.rotary_attention, _rotary, {"Q": (256, 32, 2), "K": (256, 32, 2), "V": (256, 64)})
    yield Layer(attention.multi_head_self_attention, _many_heads, {
        "X": (8, 64, 128), **{f"W{k}": (4, 32, 128) for k in "qkv"}, "Wo": (128, 4, 32), **{f"b{k}": (4, 32) for k in "qkv"}, "bo": (128,)})


def _linear_biases(t: Any, Q: Any, K: Any, V: Any, slope: Any) -> Any:
    at = t.arange(Q.shape[1], dtype=Q.dtype)
    return t.nn.functional.scaled_dot_product_attention(Q, K, V, attn_mask=-slope[:, None, None] * (at[:, None] - at).abs())


def _relative(t: Any, Q: Any, K: Any, V: Any, R: Any) -> Any:
    """All distances by one product, then each row's own."""
    at = t.arange(Q.shape[1])
    away = (Q @ R.T).gather(2, (at[:, None] - at + len(at) - 1).expand(len(Q), -1, -1))
    return t.nn.functional.scaled_dot_product_attention(Q, K, V, attn_mask=away/Q.shape[2]**0.5)


def _rotary(t: Any, Q: Any, K: Any, V: Any) -> Any:
    T, P, _ = Q.shape
    angle = t.arange(T)[:, None]*100**(-t.arange(P)/P)
    turn = t.polar(t.ones_like(angle), angle)
    q, k = (t.view_as_real(t.view_as_complex(x)*turn).flatten(1) for x in (Q, K))
    return t.nn.functional.scaled_dot_product_attention(q, k, V, scale=1)


def _many_heads(t: Any, X: Any, Wq: Any, Wk: Any, Wv: Any, Wo: Any, bq: Any, bk: Any, bv: Any, bo: Any) -> Any:
    heads, size = bq.shape
    Q, K, V = (t.nn.functional.linear(X, W.flatten(0, 1), b.flatten()).unflatten(-1, (heads, size)).transpose(1, 2)
               for W, b in ((Wq, bq), (Wk, bk), (Wv, bv)))
    mixed = t.nn.functional.scaled_dot_product_attention(Q, K, V)
    return t.nn.functional.linear(mixed.transpose(1, 2).flatten(2), Wo.flatten(1), bo)


def losses() -> Iterator[Layer]:
    yield Layer(loss.label_smoothing, _scanned(loss.label_smoothing), {
        "o": (2048, 1000), "y": integers(1000, 2048), "eps": np.float32(0.1)})
    yield Layer(loss.smooth_l1_loss, _scanned(loss.smooth_l1_loss), {"o": normal(262144), "y": normal(262144)},
                by_hand_layers.smooth_l1)


def chains() -> Iterator[Layer]:
    yield Layer(alignment.hidden_markov_model_forward, _scanned(alignment.hidden_markov_model_forward), {
        "start": (32,), "A": (32, 32), "B": (32, 64), "x": integers(64, 128)}, loop=True)
    yield Layer(alignment.chain_log_partition, _log_partition, {"s": (16, 64, 32), "A": (32, 32), "first": (32,), "last": (32,)}, loop=True)
    yield Layer(alignment.viterbi, _scanned(alignment.viterbi), {"s": (128, 32), "A": (32, 32)}, loop=True)
    yield from tables()


def tables() -> Iterator[Layer]:
    """Entries that wait for their neighbours; PyTorch by anti-diagonals, as those write it who need it fast."""
    points: Draw = lambda rng: rng.normal(scale=0.3, size=(32, 8)).astype(np.float32)  # sums of costs stay where exp does
    yield Layer(alignment.soft_dynamic_time_warping, _soft_warping, {"x": points, "y": points, "gamma": np.float32(1)}, loop=True)
    yield Layer(alignment.recurrent_network_over_an_image, _over_an_image, {
        "X": (28, 28, 8), "U": (64, 8), "A": (64, 64), "B": (64, 64), "b": (64,)}, loop=True)


def _skewed(t: Any, table: Any) -> tuple[Any, Any]:
    """The anti-diagonals of a table: entry [i, i + j] is table[i, j]; and which entries there are."""
    N, M, *_ = table.shape
    wide = t.nn.functional.pad(table, (*[0, 0]*(table.ndim - 2), 0, N)).flatten(0, 1)[:N*(N + M - 1)].unflatten(0, (N, N + M - 1))
    j = t.arange(N + M - 1) - t.arange(N)[:, None]
    return wide, (j >= 0) & (j < M)


def _soft_warping(t: Any, x: Any, y: Any, gamma: Any) -> Any:
    costs, exists = _skewed(t, ((x[:, None] - y)**2).sum(-1))
    far = x.new_full((1,), 1e6)
    previous = far.expand(len(x))
    corner = t.cat([x.new_zeros(1), previous[1:]])
    for d in range(costs.shape[1]):
        ways = t.stack([corner, previous, t.cat([far, previous[:-1]])])
        corner = t.cat([far, previous[:-1]])
        previous = t.where(exists[:, d], costs[:, d] - gamma*t.logsumexp(-ways/gamma, 0), far)
    return previous[-1]


def _over_an_image(t: Any, X: Any, U: Any, A: Any, B: Any, b: Any) -> Any:
    N, M, _ = X.shape
    z, exists = _skewed(t, t.nn.functional.linear(X, U, b))
    h, states = z.new_zeros(N, len(b)), []
    for d in range(N + M - 1):
        above = t.cat([h.new_zeros(1, len(b)), h[:-1]])
        h = t.tanh(z[:, d] + above @ A.T + h @ B.T)*exists[:, d, None]
        states.append(h)
    i = t.arange(N)[:, None]
    return t.stack(states, 1)[i, i + t.arange(M)]


def _log_partition(t: Any, s: Any, A: Any, first: Any, last: Any) -> Any:
    a = first + s[:, 0]
    for step in range(1, s.shape[1]):
        a = s[:, step] + t.logsumexp(a[:, :, None] + A, 1)
    return t.logsumexp(a + last, 1)


def poolings() -> Iterator[Layer]:
    image = (16, 16, 32, 32)
    for case in (pooling.max_pooling_2d, pooling.max_pooling_2d_with_padding, pooling.average_pooling_2d,
                 pooling.average_pooling_that_leaves_the_padding_out):
        yield Layer(case, _scanned(case), {"X": image})


def convolutions() -> Iterator[Layer]:
    yield Layer(convolution.convolution_1d, _scanned(convolution.convolution_1d), {"X": (16, 32, 128), "W": (32, 32, 5), "b": (32,)})
    yield Layer(convolution.convolution_2d_with_everything_a_parameter, _scanned(convolution.convolution_2d_with_everything_a_parameter), {
        "X": (16, 16, 32, 32), "K": (32, 16, 3, 3), "b": (32,), "s": 2, "p": 2, "d": 2})
    yield Layer(convolution.convolution_with_two_dilations, _scanned(convolution.convolution_with_two_dilations), {
        "X": (16, 16, 32, 32), "K": (32, 16, 3, 3)})
    yield Layer(convolution.depthwise_convolution, lambda t, X, K, b: t.nn.functional.conv2d(X, K[:, None], b, groups=len(K)), {
        "X": (16, 32, 32, 32), "K": (32, 3, 3), "b": (32,)})
    yield Layer(convolution.grouped_convolution, lambda t, X, W, b: t.nn.functional.conv1d(
        X.flatten(1, 2), W.flatten(0, 1), b.flatten(), stride=2, groups=len(W)).unflatten(1, W.shape[:2]), {
        "X": (16, 4, 16, 128), "W": (4, 16, 16, 3), "b": (4, 16)})
    yield Layer(convolution.transposed_convolution_2d_with_parameters, _scanned(convolution.transposed_convolution_2d_with_parameters), {
        "X": (16, 32, 16, 16), "K": (32, 16, 4, 4), "s": 2, "p": 1})
    yield Layer(convolution.convolution_3d, _scanned(convolution.convolution_3d), {"X": (4, 8, 16, 16, 16), "K": (16, 8, 3, 3, 3)})


LAYERS: dict[str, Layer] = {layer.case.name: layer for layer in layers()}
