"""The gradient step: what it reaches, what it leaves alone, and what it tells of facts that cannot be learned.

Shapes: P rows, D hidden width, R rank, V vocabulary. The tail is one matrix, so that every test takes a moment.
"""

from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from mome.bank import residual
from mome.settings import WriteSettings
from mome.write import ADAM_BETAS, ADAM_EPS, Written, blend, cached_logits, init_down, margins, write

D_MODEL, NUM_WORDS = 16, 23
LENGTHS = [1, 3, 2, 4, 1, 2, 3, 1]
SETTINGS = WriteSettings(margin=3.0, learning_rate=1e-2, blending=0.0)
FAR = 1e9


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass
class Work:
    """Facts to write behind a linear tail, and a log of what `write` asked for."""

    head: Tensor  # [V, D]
    hidden: Tensor  # [P, D]
    target: Tensor  # [P]
    fact: Tensor  # [P]
    down: Tensor  # [P, 1, R, D], the starting rows
    calls: list[tuple[Tensor, Tensor, Tensor, bool]] = field(default_factory=list)

    def start(self) -> tuple[Tensor, Tensor]:
        return self.down.clone(), torch.zeros(len(self.down), 1, D_MODEL, max(self.down.shape[2], 1))

    def write(
        self, settings: WriteSettings, seed: int = 0, advance=lambda _num: None, dtype: torch.dtype = torch.float32
    ) -> Written:
        logits_of = cached_logits(self.hidden, lambda states: states @ self.head.T, settings, generator(seed))

        def logged(rows: Tensor, down: Tensor, up: Tensor, blended: bool) -> Tensor:
            self.calls.append((rows.clone(), down.detach().clone(), up.detach().clone(), blended))
            return logits_of(rows, down, up, blended)

        return write(logged, self.target, self.fact, *self.start(), settings, advance, dtype)

    def margins_of(self, written: Written) -> Tensor:
        changed = self.hidden + residual(self.hidden, written.down[:, 0], written.up[:, 0])
        return margins(changed @ self.head.T, self.target)

    def only(self, facts: list[int]) -> "Work":
        rows = torch.isin(self.fact, torch.tensor(facts))
        return Work(self.head, self.hidden[rows], self.target[rows], self.fact[rows], self.down[rows])


def make_work(rank: int = 1, seed: int = 0) -> Work:
    random = generator(seed)
    count = sum(LENGTHS)
    hidden = torch.randn(count, D_MODEL, generator=random) * torch.logspace(-0.3, 0.7, count)[:, None]
    return Work(
        head=torch.randn(NUM_WORDS, D_MODEL, generator=random) / 4,
        hidden=hidden,
        target=torch.randint(NUM_WORDS, (count,), generator=random),
        fact=torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS)),
        down=init_down(hidden, rank, random)[:, None],
    )


@pytest.fixture(params=[1, 3], ids=["rank 1", "rank 3"])
def work(request: pytest.FixtureRequest) -> Work:
    return make_work(request.param)


class TestWrite:
    @pytest.mark.parametrize("blending", [0.0, 0.5])
    def test_all_margins_are_reached(self, work, blending):
        settings = replace(SETTINGS, blending=blending)
        written = work.write(settings)
        assert (written.margin >= settings.margin).all()
        assert 0 < written.num_steps.max() < settings.max_steps
        assert torch.allclose(work.margins_of(written), written.margin, atol=1e-4)

    def test_rows_that_are_stored_in_bf16_are_taught_as_they_will_be_read(self, work):
        written = work.write(SETTINGS, dtype=torch.bfloat16)
        for table in (written.down, written.up):
            assert torch.equal(table, table.bfloat16().float()) and table.any()
        assert (written.margin >= SETTINGS.margin).all()
        assert torch.allclose(work.margins_of(written), written.margin, atol=1e-4)
        fine = work.write(SETTINGS)
        assert not torch.equal(written.up, fine.up) and not torch.equal(fine.up, fine.up.bfloat16().float())

    def test_a_fact_leaves_when_its_last_row_has_its_margin(self, work):
        written = work.write(SETTINGS)
        assert len(written.num_steps.unique()) > 3
        for fact in range(len(LENGTHS)):
            rows = work.fact == fact
            assert len(written.num_steps[rows].unique()) == 1
            left = int(written.num_steps[rows][0])
            for step, (seen, down, up, _) in enumerate(work.calls[: left + 1]):
                here = torch.isin(seen, rows.nonzero())
                assert int(here.sum()) == int(rows.sum())
                changed = work.hidden[rows] + residual(work.hidden[rows], down[here, 0], up[here, 0])
                worst = float(margins(changed @ work.head.T, work.target[rows]).min())
                assert (worst < SETTINGS.margin) == (step < left)
            assert not any(torch.isin(seen, rows.nonzero()).any() for seen, *_ in work.calls[left + 1 :])

    def test_rows_of_learned_facts_are_never_touched_again(self, work):
        """What stands in the end is, bit for bit, what stood when the row was last in work."""
        written = work.write(SETTINGS)
        for row in range(len(work.target)):
            seen, down, up, _ = work.calls[int(written.num_steps[row])]
            place = int((seen == row).nonzero())
            assert torch.equal(written.down[row], down[place]) and torch.equal(written.up[row], up[place])

    def test_rows_already_right_stay_as_they_were(self, work):
        down, up = work.start()
        before = margins(work.hidden @ work.head.T, work.target)
        best = (work.hidden @ work.head.T).topk(2)
        right = work.fact == 3
        work.target[right] = best.indices[right, 0]
        easy = replace(SETTINGS, margin=float((best.values[right, 0] - best.values[right, 1]).min()))
        written = work.write(easy)
        assert not written.num_steps[right].any() and not written.up[right].any()
        assert torch.equal(written.down[right], down[right])
        changed = (written.up != up).flatten(1).any(1)
        assert changed[~right & (before < easy.margin)].all()

    def test_facts_do_not_touch_each_other(self, work):
        """Taught together or apart, a fact's experts are the same."""
        together = work.write(SETTINGS)
        for facts in ([1], [0, 4, 7], [2, 3, 5, 6]):
            rows = torch.isin(work.fact, torch.tensor(facts))
            apart = work.only(facts).write(SETTINGS)
            assert torch.equal(apart.num_steps, together.num_steps[rows])
            assert relative_error(apart.up, together.up[rows]) < 1e-4

    def test_the_starting_rows_are_left_alone(self, work):
        down, up = work.start()
        before = down.clone(), up.clone()
        logits_of = cached_logits(work.hidden, lambda states: states @ work.head.T, SETTINGS, generator())
        write(logits_of, work.target, work.fact, down, up, SETTINGS)
        assert torch.equal(down, before[0]) and torch.equal(up, before[1])

    @pytest.mark.parametrize("blending", [0.0, 0.5])
    def test_deterministic_for_a_seed(self, blending):
        settings = replace(SETTINGS, blending=blending)
        first, again, other = (make_work(3).write(settings, seed) for seed in (0, 0, 1))
        assert torch.equal(first.down, again.down) and torch.equal(first.up, again.up)
        assert torch.equal(first.num_steps, again.num_steps)
        assert torch.equal(first.up, other.up) == (blending == 0.0)

    def test_blended_states_are_asked_for_only_when_wanted(self, work):
        work.write(SETTINGS)
        assert not any(blended for *_, blended in work.calls)
        work.calls.clear()
        work.write(replace(SETTINGS, blending=0.5, num_blended=2))
        asked = [blended for *_, blended in work.calls]
        assert asked == [False, True, True] * (len(asked) // 3)

    def test_a_fact_stays_until_blended_states_have_the_margin_too(self):
        work = make_work(rank=0)
        settings = replace(SETTINGS, learning_rate=0.1)
        plain, blended = (work.write(replace(settings, blending=blending)) for blending in (0.0, 1.0))
        assert (blended.num_steps >= plain.num_steps).all()
        assert blended.num_steps.float().mean() > 1.5 * plain.num_steps.float().mean()
        strangers = work.hidden.roll(5, 0)
        said = [strangers + residual(strangers, each.down[:, 0], each.up[:, 0]) for each in (plain, blended)]
        right = [(margins(state @ work.head.T, work.target) > 0).float().mean() for state in said]
        assert right[1] > right[0]
        assert right[1] > 0.9

    def test_blending_teaches_states_nearby(self):
        """Written with blending, the experts also speak for states on the way to another fact's."""
        work = make_work()
        work.hidden = torch.nn.functional.normalize(work.hidden, dim=-1) * 4
        near = work.hidden + 0.3 * (work.hidden.roll(5, 0) - work.hidden)
        worst = []
        for blending in (0.0, 0.5):
            written = work.write(replace(SETTINGS, blending=blending))
            changed = near + residual(near, written.down[:, 0], written.up[:, 0])
            worst.append(margins(changed @ work.head.T, work.target).mean())
        assert worst[1] > worst[0]

    def test_progress_counts_every_fact_once(self, work):
        counts: list[int] = []
        work.write(SETTINGS, advance=counts.append)
        assert sum(counts) == len(LENGTHS) and min(counts) > 0 and len(counts) > 1


class TestNotLearned:
    def test_no_steps(self, work):
        counts: list[int] = []
        down, up = work.start()
        written = work.write(replace(SETTINGS, max_steps=0), advance=counts.append)
        assert torch.equal(written.down, down) and torch.equal(written.up, up)
        assert torch.equal(written.margin, margins(work.hidden @ work.head.T, work.target))
        assert not written.num_steps.any() and sum(counts) == len(LENGTHS)

    def test_too_few_steps(self, work):
        written = work.write(replace(SETTINGS, max_steps=5, margin=FAR))
        assert (written.num_steps == 5).all() and (written.margin < FAR).all()
        assert torch.allclose(work.margins_of(written), written.margin, atol=1e-4)

    def test_a_token_that_no_state_can_say(self, work):
        """Two words with one row in the head: neither ever wins over the other. The other facts are learned."""
        work.head[1] = work.head[0]
        work.target[work.target < 2] = 2
        hopeless = work.fact == 5
        work.target[hopeless] = 0
        counts: list[int] = []
        settings = replace(SETTINGS, max_steps=200)
        written = work.write(settings, advance=counts.append)
        assert (written.margin[hopeless] <= 0).all() and (written.num_steps[hopeless] == 200).all()
        assert (written.margin[~hopeless] >= settings.margin).all()
        assert sum(counts) == len(LENGTHS)

    def test_logits_that_are_not_numbers_never_count_as_learned(self, work):
        broken = work.fact == 2
        work.hidden[broken] = torch.nan
        settings = replace(SETTINGS, max_steps=200)
        written = work.write(settings)
        assert (written.margin[broken] == -torch.inf).all() and (written.num_steps[broken] == 200).all()
        assert (written.margin[~broken] >= settings.margin).all()


class TestAdam:
    @pytest.mark.parametrize("num_steps", [1, 2, 25])
    def test_equals_torch(self, work, num_steps):
        written = work.write(replace(SETTINGS, margin=FAR, max_steps=num_steps))
        leaves = [part.requires_grad_() for part in work.start()]
        adam = torch.optim.Adam(leaves, lr=SETTINGS.learning_rate, betas=ADAM_BETAS, eps=ADAM_EPS)
        for _ in range(num_steps):
            adam.zero_grad()
            changed = work.hidden + residual(work.hidden, leaves[0][:, 0], leaves[1][:, 0])
            torch.nn.functional.cross_entropy(changed @ work.head.T, work.target, reduction="sum").backward()
            adam.step()
        assert relative_error(written.down, leaves[0].detach()) < 1e-5
        assert relative_error(written.up, leaves[1].detach()) < 1e-4

    def test_moments_stay_with_their_rows(self, work):
        """Rows that go on after others have left go on as if they had been alone: steps, moments and all."""
        work.head[1] = work.head[0]
        work.target[work.target < 2] = 2
        work.target[work.fact == 3] = 0
        settings = replace(SETTINGS, max_steps=60)
        together, alone = work.write(settings), work.only([3]).write(settings)
        assert len(together.num_steps.unique()) > 2
        assert relative_error(alone.up, together.up[work.fact == 3]) < 1e-4


class TestMargins:
    def test_equal_the_plain_twin(self):
        logits, target = torch.randn(40, NUM_WORDS), torch.randint(NUM_WORDS, (40,))
        for row, margin in enumerate(margins(logits, target)):
            words = logits[row].tolist()
            right = words.pop(int(target[row]))
            assert float(margin) == pytest.approx(right - max(words), abs=1e-6)

    def test_are_above_zero_exactly_where_greedy_decoding_says_the_target(self):
        logits, target = torch.randn(200, 4), torch.randint(4, (200,))
        assert torch.equal(margins(logits, target) > 0, logits.argmax(-1) == target)

    def test_do_not_change_the_logits(self):
        logits = torch.randn(3, 4)
        before = logits.clone()
        margins(logits, torch.tensor([0, 1, 2]))
        assert torch.equal(logits, before)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    def test_not_a_number(self, value):
        logits = torch.zeros(2, 4)
        logits[0] = value
        assert margins(logits, torch.tensor([1, 1])).tolist() == [-torch.inf, 0]


class TestStart:
    @pytest.mark.parametrize("rank", [1, 3])
    def test_the_first_row_reads_the_state(self, rank):
        hidden = torch.randn(7, D_MODEL) * torch.logspace(-3, 3, 7)[:, None]
        down = init_down(hidden, rank, generator())
        assert down.shape == (7, rank, D_MODEL) and down.dtype == torch.float32
        unit = hidden / hidden.square().mean(-1, keepdim=True).sqrt()
        assert torch.allclose((down[:, 0] * unit).sum(-1), torch.ones(7), atol=1e-5)
        assert torch.equal(down, init_down(hidden, rank, generator()))

    def test_a_shift_in_b_is_added_whole(self):
        """The reason for the first row: B starts as the shift, in units of the state's size."""
        hidden = torch.randn(7, D_MODEL)
        shift = torch.randn(7, D_MODEL)
        moved = residual(hidden, init_down(hidden, 1, generator()), shift[:, :, None])
        assert relative_error(moved, shift * hidden.square().mean(-1, keepdim=True).sqrt()) < 1e-5

    def test_further_rows_are_random(self):
        down = init_down(torch.randn(7, D_MODEL), 3, generator(0))
        assert len(down[:, 1:].flatten(0, 1).unique(dim=0)) == 14
        assert not torch.equal(down[:, 1:], init_down(torch.randn(7, D_MODEL), 3, generator(1))[:, 1:])


class TestBlend:
    def test_lies_on_the_way_to_another_state(self):
        hidden = torch.randn(9, D_MODEL)
        moved = blend(hidden, 0.5, generator()) - hidden
        for row, move in enumerate(moved):
            ways = hidden - hidden[row]
            parts = (ways @ move) / ways.square().sum(-1).clamp_min(1e-9)
            misses = (ways * parts[:, None] - move).norm(dim=-1)
            assert float(misses.min()) < 1e-5
            assert -1e-6 <= float(parts[misses.argmin()]) <= 0.5 + 1e-6
        assert moved.any()

    def test_nothing_to_blend_with(self):
        hidden = torch.randn(9, D_MODEL)
        assert torch.equal(blend(hidden, 0.0, generator()), hidden)
        assert torch.equal(blend(hidden[:1], 0.5, generator()), hidden[:1])
