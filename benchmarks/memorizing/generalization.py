"""What a model still does on everything that it was not taught, item by item, beside the bare backbone.

Shapes: Q items.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.memorizing.answer_losses import answer_losses
from benchmarks.memorizing.labels import Question, read_questions
from mome.config import EMBEDDED
from mome.errors import FactsError
from mome.facts import Fact, read_facts
from mome.joining import Joiner
from train.answers import Generate
from train.baselines.method import Method
from train.corpus import read_texts
from train.fitting import freed_memory_kept
from train.world import fact_records, make_world

MAX_TEXT_TOKENS = 64
NUM_ANSWER_TOKENS = 16


@dataclass(frozen=True)
class HeldOut:
    """What is asked and read of every model, the same for all."""

    known: list[Fact]  # questions that the backbone's training answers
    questions: list[Question]  # of TruthfulQA
    texts: list[list[int]]  # token ids of unrelated text


@dataclass
class Outcome:
    """One model's results, a number for each item; empty where its logits are not those of one model."""

    known: list[float]  # 1 where what is said to a known question begins with the answer
    agreement: list[float]  # 1 where it is what the bare backbone says, as far as both go
    mc1: list[float] = field(default_factory=list)  # 1 where the best true answer is likelier than every false one
    mc2: list[float] = field(default_factory=list)  # probability of the true answers among all
    log_perplexity: list[float] = field(default_factory=list)  # nats for each token of a text


def load_held_out(backbone: str, joiner: Joiner, taught: set[str], num: int, folder: Path, seed: int) -> HeldOut:
    """At most `num` items of each kind.

    Args:
        backbone: the embedded one is asked what its generated world told it most often, any other EntityQuestions.
        taught: prompts that are taught, in any run, and are left out.
    """
    rng = random.Random(seed)
    known = known_facts(backbone, num, folder, seed)
    questions = [each for each in read_questions(folder) if each.prompt not in taught]
    texts = [joiner.tokenizer(text).input_ids[:MAX_TEXT_TOKENS] for text in read_texts(folder / "retention")]
    texts = [ids for ids in texts if len(ids) > 1]
    return HeldOut(
        known=[fact for fact in known if fact.prompt not in taught],
        questions=rng.sample(questions, min(num, len(questions))),
        texts=rng.sample(texts, min(num, len(texts))),
    )


def known_facts(backbone: str, num: int, folder: Path, seed: int) -> list[Fact]:
    """Questions that the backbone's training answers; EntityQuestions where the training is not ours."""
    if backbone != EMBEDDED:
        return read_facts(folder / "entity_questions/dev.jsonl.gz", on_conflict="first", limit=num, seed=seed).facts
    world = make_world()
    most = max(fact.exposures for fact in world.facts)
    often = [fact for fact in world.facts if fact.exposures == most]
    drawn = random.Random(seed).sample(often, min(num, len(often)))
    return [Fact.from_record(record) for record in fact_records(drawn, world, seed, num_paraphrases=0)]


def say_known(generate: Generate, held_out: HeldOut) -> list[list[int]]:
    """Greedy answers to the known questions."""
    prompts = [fact.prompt for fact in held_out.known]
    return generate(prompts, [NUM_ANSWER_TOKENS] * len(prompts), lambda _num: None)


@freed_memory_kept()
def generalize(method: Method, bare: list[list[int]], joiner: Joiner, held_out: HeldOut) -> Outcome:
    """Ask a method everything.

    Args:
        bare: what the bare backbone says to the known questions.
    """
    said = say_known(method.generate, held_out)
    pairs = zip(said, held_out.known, strict=True)
    outcome = Outcome(
        known=[float(any(begins_with(joiner.decode(ids), text) for text in fact.answers)) for ids, fact in pairs],
        agreement=[float(agree(ours, theirs, joiner)) for ours, theirs in zip(said, bare, strict=True)],
    )
    if method.model is not None:
        outcome.mc1, outcome.mc2 = multiple_choice(method.model, joiner, held_out.questions)
        figures = answer_losses(method.model, [ids[:1] for ids in held_out.texts], [ids[1:] for ids in held_out.texts])
        outcome.log_perplexity = figures.mean_loss.tolist()
    return outcome


def begins_with(said: str, answer: str) -> bool:
    """Whether an answer stands at the beginning, in whole words. A backbone often goes on behind it, with another
    question, and every training on facts teaches it to stop: neither is to count.

    >>> [begins_with(said, "Lyon") for said in ("Lyon", "Lyon. Who was it?", "Lyonesse", "In Lyon")]
    [True, True, False, False]
    """
    return said.startswith(answer) and not said[len(answer) :][:1].isalnum()


def agree(ours: list[int], theirs: list[int], joiner: Joiner) -> bool:
    """Whether two outputs are the same tokens up to where the first of them ends; an empty one is like no other.

    Stopping earlier or later than the bare backbone is, as in `begins_with`, no disagreement.
    """
    end = joiner.tokenizer.eos_token_id
    ours, theirs = ([token for token in ids if token != end] for ids in (ours, theirs))
    num = min(len(ours), len(theirs))
    return ours[:num] == theirs[:num] and (num > 0 or ours == theirs)


def multiple_choice(
    model: PreTrainedModel, joiner: Joiner, questions: list[Question]
) -> tuple[list[float], list[float]]:
    """TruthfulQA's MC1 and MC2 (arXiv 2109.07958, section 3.3) by the likelihood of whole answers.

    MC1 takes the best answer and all false ones; MC2 all answers, a true one counting by its probability among them.
    """
    asked = [
        (number, text, text in each.true) for number, each in enumerate(questions) for text in each.true + each.false
    ]
    prompts, answers = [], []
    for number, text, _ in asked:
        prompts.append(joiner.encode_prompt(questions[number].prompt))
        answers.append(_encoded(joiner, questions[number].prompt, text))
    likelihood = -answer_losses(model, prompts, answers).nll
    mc1, mc2 = [], []
    of_question = torch.tensor([number for number, _, _ in asked])
    is_true = torch.tensor([true for _, _, true in asked])
    for number in range(len(questions)):
        true = likelihood[(of_question == number) & is_true]
        false = likelihood[(of_question == number) & ~is_true]
        mc1.append(float(true[0] > false.max()))  # the best answer stands first
        mc2.append(float(torch.cat([true, false]).softmax(0)[: len(true)].sum()))
    return mc1, mc2


def _encoded(joiner: Joiner, prompt: str, answer: str) -> list[int]:
    try:
        return joiner.encode_answer(prompt, answer)
    except FactsError:
        # A character that the tokenizer cannot represent does not keep an answer from being scored.
        return joiner.tokenizer(" " + answer, add_special_tokens=False).input_ids


def perplexity(log_perplexity: Tensor) -> Tensor:
    """Of texts `[..., S, Q]` that count alike: the exponential of the mean."""
    return log_perplexity.mean((-2, -1)).exp()
