"""Choose each frame's quantizer so that the bits follow a target rate.

The horizon is one period of the layer hierarchy: the stream quantizer is the one whose predicted
bits for the next period are the target's share of that time, less what the debt has run ahead of
its usual path through a period.  It is solved anew for every frame, so a new target or a wrong
prediction is answered with the next frame, and errors do not add up.

A key frame may take `key_budgets` frame budgets, the first of a stream more; the frames after it
repay that loan evenly, and sharpen what stands still as bits allow.
"""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.base.hierarchy import COARSEST, FINEST, Hierarchy, clip_quantizer
from auralink.codecs.base.protocol import Sharpening
from auralink.codecs.video.rate.activity import Activity
from auralink.codecs.video.rate.bits_model import KEY, BitsModel
from auralink.codecs.video.rate.debt import Debt, Loan
from auralink.codecs.video.rate.key_search import KeySearch
from auralink.codecs.video.rate.sharpness import Sharpness

# A stream gets at most this much finer from one frame to the next: predictions far from the last
# sample are guesses, and guessing too coarse costs less than guessing too fine.
_FINER_PER_FRAME: Final = 4.0
# Even when in debt a period keeps this share of its bits, or the picture would fall to pieces for
# one large frame; the debt limit drops frames before it comes to that.
_LEAST_SHARE: Final = 0.25
# Where this much of the picture stands still, the lowest layer may take this share of a period to
# sharpen it after a coarse key: 0.7 would save 3 % of the bits, and 1.8 s of backlog instead of 1.3
# follow a tenfold drop of the rate right after such a frame.  With half
# of the picture still, foreman's windows would be uneven for nothing.
_STILL_ENOUGH: Final = 0.9
_SHARPENING_SHARE: Final = 0.5
# Debt is to be gone in a period's half: the frames in between are many and small.
_HASTE: Final = 2.0
# Text and edges on rendered pictures look clean from about here (SSIM-Y above 0.99).
_FINE_ENOUGH: Final = 26
_WINDOW_S: Final = 2.0
_WAVE: Final = 0.03
_LARGEST_SHARE: Final = 0.45  # of a period, for the lowest layer, whatever the frame rate
_SOLVER_STEPS: Final = 14  # bisection: 70 quantizer steps to better than 0.01
_BEYOND: Final = 20.0  # how far outside 1..63 a wanted quantizer is followed, as a measure of need


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """How the rate is kept.

    ``delay_s`` is the stated delay: with more undrained bits than that, frames are dropped.
    """

    delay_s: float = 0.25
    key_budgets: float = 4.0
    first_key_s: float = 0.6  # nothing freezes while a stream's first picture is on its way
    largest_s: float = 1.0  # of the rate, for a frame that sharpens what stands still
    finest: int = 8  # never code the top layer finer: nobody sees it, and a change must be paid


# Whoever watches as it is coded waits for the first picture, and all that follow wait behind it.
# The demo's clip over 120 kbit/s with 2 % loss, frames of 254 that were late and mean SSIM-Y, three
# seeds: 10 and .977 with 0.13 s, 6 and .978 with 0.2, 12 and .974 with 0.25, 20 and .970 with 0.6.
# Over 133 kbit/s with frames that sharpen bounded at 0.2 s, 0.12 and 0.08: 11, 6 and 4 late, 95 %
# of the pictures there after 321, 231 and 206 ms; on three other clips no SSIM was lower for it.
LIVE: Final = RateOptions(first_key_s=0.2, largest_s=0.08)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with a frame."""

    drop: bool = False
    quantizer: int = COARSEST  # to be used exactly
    limit_bits: float = 0.0  # for a key: code it again, coarser, when it takes more
    sharpen: Sharpening | None = None


def largest_share(interval_s: float, period: int) -> float:
    """Largest share of a period's bits that its one lowest-layer frame may take.

    A 2 s window holds now one more, now one fewer of these frames; the difference must stay
    within `_WAVE` of the window's bits.
    """
    if period == 1:
        return 1.0
    frames = max(period, round(_WINDOW_S / interval_s))
    rest = frames % period / period
    if not rest:
        return _LARGEST_SHARE
    # With share s a lowest-layer frame takes s*period means, each other (1-s)*period/(period-1).
    # One frame more or less than the mean count moves the window by (s*period - other) means.
    off = max(rest, 1 - rest)
    room = _WAVE * frames / off  # in frame budgets
    return min(_LARGEST_SHARE, (room * (period - 1) / period + 1) / period)


class RateController:
    """One stream's rate control.  ``plan`` a frame, code it, tell ``coded``; for each frame.

    Args:
        grid: rows and columns of blocks that the engine can sharpen, None if it cannot.
    """

    def __init__(
        self,
        *,
        hierarchy: Hierarchy,
        pixels: int,
        fps: float,
        grid: tuple[int, int] | None = None,
        options: RateOptions | None = None,
    ) -> None:
        self._hierarchy = hierarchy
        self._options = options or RateOptions()
        self._model = BitsModel(pixels)
        self._debt = Debt()
        self.set_interval(1 / fps)
        self._position = 0  # frames since the key
        self._stream: float | None = None  # the newest stream quantizer
        self._target_bps = 0
        self._wanted = 0.0
        self._loan = Loan()
        self._key_limit_s = 0.0  # what the planned key may take, in seconds of the target
        self._search = KeySearch(0)
        self._sharpness = Sharpness(grid) if grid else None
        self._activity = Activity()
        self._planned: Plan = Plan()
        self._invested = 0.0  # bits of this period that sharpen blocks

    @property
    def wanted(self) -> float:
        """The stream quantizer that would meet the target, beyond 63 or below 1 if need be."""
        return self._wanted

    @property
    def delay_s(self) -> float:
        """Seconds that the target rate needs to drain what was coded."""
        return self._debt.delay_s(self._target_bps)

    @property
    def late(self) -> bool:
        """More is owed than the stated delay and a key's loan allow."""
        return self._debt.delay_s(self._target_bps) > self._options.delay_s + self._loan.left_s

    @property
    def refined(self) -> bool:
        """What stands still is coded so finely that it need not get any finer."""
        coarsest = self._sharpness.coarsest if self._sharpness else self._model.sharpened
        return coarsest <= _FINE_ENOUGH

    def plan(
        self,
        pts_us: int,
        target_bps: int,
        *,
        key: bool,
        activity: Activity = Activity(),  # noqa: B008 - frozen
        restart: bool = False,
        backlog_bits: int = 0,
    ) -> Plan:
        """Decide on the frame captured at ``pts_us``.

        Args:
            activity: what the frame differs from those before it.
            restart: the hierarchy starts over with this frame though it is no key (a repair).
            backlog_bits: see `Wish`.
        """
        if restart:
            self._position = 0
        self._target_bps = target_bps
        self._activity = activity
        self._model.expect(activity)
        self._debt.advance(pts_us, target_bps, least_bits=backlog_bits)
        self._loan.advance(pts_us)
        if key or self._stream is None:
            return self._plan_key()
        if self.late:
            return Plan(drop=True)
        layer = self._hierarchy.layer(self._position)
        if not self._position % len(self._hierarchy.layers):
            self._invested = 0.0
        stream = self._solve()
        sharpen = self._sharpen(stream) if not layer else None
        if sharpen is not None:
            stream = self._solve()  # with what is left
        quantizer = clip_quantizer(self._quantizers(stream)[layer])
        self._planned = Plan(quantizer=quantizer, sharpen=sharpen)
        return self._planned

    def coded(self, bits: int, quantizer: int, *, key: bool, layer: int) -> None:
        """Learn what the planned frame took; all its bits on the wire count.

        Args:
            layer: what the engine made it; layer 0 out of turn means that it started over.
        """
        if key:
            self._position = 0
        elif layer != self._hierarchy.layer(self._position):
            self._position = self._hierarchy.layers.index(layer)
        kind = KEY if key else layer
        self._note_sharpness(bits, quantizer, key=key, layer=layer)
        extra = self._invested if self._planned.sharpen and not layer else 0.0
        self._model.observe(kind, quantizer, bits, extra=extra)
        self._debt.add(bits)
        if key:
            self._loan.take(min(self.delay_s, self._key_limit_s))
        self._position += 1
        if key and self._stream is None:
            self._stream = min(float(COARSEST), quantizer + self._hierarchy.key.at_coarsest)

    def tried(self, bits: int, quantizer: int) -> None:
        """Learn from a key that is not sent."""
        self._model.observe(KEY, quantizer, bits)
        self._search.tried(quantizer, bits)

    def extra(self, bits: int) -> None:
        """Count bits that carry no frame: skips, parity."""
        self._debt.add(bits)

    def set_interval(self, interval_s: float) -> None:
        """The distance of coded frames, when the frame rate changes."""
        self._interval_s = interval_s
        self._largest_share = largest_share(interval_s, len(self._hierarchy.layers))

    def follow(self, hierarchy: Hierarchy, grid: tuple[int, int] | None = None) -> None:
        """Another engine codes from the next key on; what is owed stays owed."""
        self._hierarchy = hierarchy
        self._sharpness = Sharpness(grid) if grid else None
        self._model.forget_layers()
        self._position = 0
        self.set_interval(self._interval_s)

    def resize(self, pixels: int, grid: tuple[int, int] | None = None) -> None:
        """The base size changes with the next key."""
        self._model.resize(pixels)
        self._sharpness = Sharpness(grid) if grid else None

    def plan_key_again(self, *, last: bool = False) -> Plan:
        """Plan for coding the key again with what ``tried`` taught.

        Args:
            last: this try is sent, whatever it takes.
        """
        return self._key(last=last)

    def _sharpen(self, stream: float) -> Sharpening | None:
        """Blocks for the frame of the lowest layer that is planned now."""
        activity = self._activity
        if self._sharpness is None or activity.changed is None or activity.weights is None:
            return None
        share = self._target_bps * self._interval_s * len(self._hierarchy.layers)
        rest = clip_quantizer(self._quantizers(stream)[0])
        left = self._options.largest_s * self._target_bps - self._model.news(0, rest)
        found = self._sharpness.choose(
            min(self._room(share) * _SHARPENING_SHARE, left),
            goal=self._hierarchy.quantizer(min(stream, self._wanted), 0, key=True),
            rest=rest,
            changed=activity.changed,
            weights=activity.weights,
            key_bits=self._model.key_bits,
        )
        if found is None:
            return None
        sharpening, self._invested = found
        return sharpening

    def _note_sharpness(self, bits: int, quantizer: int, *, key: bool, layer: int) -> None:
        sharpness, changed = self._sharpness, self._activity.changed
        if sharpness is None:
            return
        if key:
            sharpness.keyed(quantizer)
            self._planned, self._invested = Plan(), 0.0
        elif not layer and changed is not None:
            extra = bits - self._model.news(0, quantizer)
            sharpness.coded(quantizer, changed, self._planned.sharpen, extra)

    def _plan_key(self) -> Plan:
        self._key_limit_s = self._options.key_budgets * self._interval_s
        if self._stream is None:
            self._key_limit_s = max(self._key_limit_s, self._options.first_key_s)
        self._search = KeySearch(self._key_limit_s * self._target_bps)
        return self._key()

    def _key(self, *, last: bool = False) -> Plan:
        limit = self._key_limit_s * self._target_bps
        wanted = self._search.next(self._model.quantizer(KEY, limit), last=last)
        if self._stream is not None:
            # Finer than the stream around it is worth its bits only to a point.
            wanted = max(wanted, self._hierarchy.quantizer(self._stream, 0, key=True))
        return Plan(quantizer=clip_quantizer(wanted), limit_bits=limit)

    def _solve(self) -> float:
        """The stream quantizer for the next period."""
        period = len(self._hierarchy.layers)
        share = self._target_bps * self._interval_s * period
        previous = COARSEST if self._stream is None else self._stream
        # Loans and sharpening pass: what the picture needs without them decides about its size.
        self._wanted = self._meet(share, sharpen=False)
        usual = self._usual_debt(previous, share) + self._loan.left_s * self._target_bps
        budget = self._room(share) - self._invested - _HASTE * (self._debt.bits - usual)
        meets = self._meet(max(budget, _LEAST_SHARE * share))
        stream = max(meets, previous - _FINER_PER_FRAME, float(self._options.finest))
        self._stream = min(stream, float(COARSEST))
        return self._stream

    def _room(self, share: float) -> float:
        """What repaying leaves of a period's bits."""
        return share * (1 - self._loan.rate)

    def _meet(self, budget: float, *, sharpen: bool = True) -> float:
        """The stream quantizer whose period takes ``budget`` bits."""
        low, high = FINEST - _BEYOND, COARSEST + _BEYOND
        for _ in range(_SOLVER_STEPS):
            middle = (low + high) / 2
            if sum(self._layer_bits(middle, sharpen=sharpen)) > budget:
                low = middle
            else:
                high = middle
        return high

    def _quantizers(self, stream: float, *, sharpen: bool = True) -> list[float]:
        """Quantizer by layer: the hierarchy's, but for what the lowest layer may take.

        After a coarse key its frames sharpen what stands still, to what a key of this stream
        would have been; otherwise its share is bounded so that windows are even.
        """
        hierarchy = self._hierarchy
        chosen = [hierarchy.quantizer(stream, layer) for layer in range(hierarchy.top + 1)]
        if not hierarchy.top:
            return chosen
        layers = hierarchy.layers
        others = sum(self._model.bits(layer, chosen[layer]) for layer in layers if layer)
        goal = hierarchy.quantizer(min(stream, self._wanted), 0, key=True)
        alone = sharpen and self._sharpness is None
        if alone and self._model.still > _STILL_ENOUGH and self._model.sharpened > goal + 1:
            most = others * _SHARPENING_SHARE / (1 - _SHARPENING_SHARE)
            most = min(most, self._options.largest_s * self._target_bps)
            chosen[0] = min(chosen[0], max(goal, self._model.quantizer(0, most)))
        else:
            most = others * self._largest_share / (1 - self._largest_share)
            chosen[0] = max(chosen[0], min(self._model.quantizer(0, most), chosen[1]))
        return chosen

    def _layer_bits(self, stream: float, *, sharpen: bool = True) -> list[float]:
        quantizers = self._quantizers(stream, sharpen=sharpen)
        bits = self._model.bits if sharpen else self._model.news
        by_layer = [bits(layer, quantizer) for layer, quantizer in enumerate(quantizers)]
        return [by_layer[layer] for layer in self._hierarchy.layers]

    def _usual_debt(self, stream: float, share: float) -> float:
        """Debt that the hierarchy itself causes at this point of a period, zero on average."""
        costs = self._layer_bits(stream)
        scale = share / max(sum(costs), 1.0)
        mean = share / len(costs)
        levels, level = [], 0.0
        for cost in costs:
            levels.append(level)
            level += cost * scale - mean
        at = self._position % len(costs)
        # What sharpened blocks is drained until the next frame that may do so.
        undrained = self._invested * (1 - at / len(costs)) if at else 0.0
        return levels[at] - sum(levels) / len(levels) + undrained
