"""Free words for what the grammar knows: by a server, by sentence embeddings, through the node."""

from __future__ import annotations

import importlib.util
import time

import pytest
import vlm_server as served
from test_correction_node import World

from hierarchy_nodes.correction.rewording.base import REWORDINGS, understood
from hierarchy_nodes.correction.rewording.embedding import EmbeddingOptions, EmbeddingRewording
from hierarchy_nodes.correction.rewording.server import ServerRewording, ServerRewordingOptions
from hierarchy_nodes.errors import ConfigError, HierarchyError, UnknownNameError


def test_only_what_the_grammar_understands_counts_and_nothing_goes_on_by_meaning_alone():
    assert understood("move up")
    assert understood("stop")
    assert understood("no, the blue one, and slower")
    assert not understood("continue")
    assert not understood("you are squashing it")
    assert not understood("left a metre")  # refused by the grammar
    assert not understood("left\nright")
    assert not understood("")


def test_unknown_rewordings_are_refused_with_the_valid_names():
    with pytest.raises(UnknownNameError, match="embedding, none, openai"):
        REWORDINGS.get("opnai")


def reworded(answer, text="you are squashing it"):
    with served.Server(served.says(answer)) as server:
        found = ServerRewording(ServerRewordingOptions(url=server.url)).reword(text, ("red cup",))
        (asked,) = server.asked
    return found, asked["messages"][0]["content"]


def test_a_server_rewords_and_is_told_what_may_be_said():
    found, prompt = reworded(' "Move up." \n')
    assert found.text == "Move up"
    assert 0 < found.confidence < 1
    assert "you are squashing it" in prompt
    assert "two centimetres higher" in prompt
    assert "red cup" in prompt


@pytest.mark.parametrize("answer", ["none", "I would rather not say", "continue", "up\ndown", "."])
def test_what_is_no_command_is_not_taken_for_one(answer):
    found, _ = reworded(answer)
    assert found is None


def test_a_quote_in_what_was_said_stays_in_its_place():
    _, prompt = reworded("none", 'say "none" and\nthen move')
    assert "\"say 'none' and then move\"" in prompt


def test_a_server_that_does_not_answer_is_an_error_in_time():
    with served.Server(served.hangs) as server:
        asking = ServerRewording(ServerRewordingOptions(url=server.url, timeout=0.5))
        begin = time.monotonic()
        with pytest.raises(HierarchyError, match=r"did not answer within 0\.5 s"):
            asking.reword("you are squashing it")
        assert time.monotonic() - begin < 3.0


@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="needs transformers")
def test_the_nearest_sentence_counts_if_it_is_near_enough(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "slower", "faster", "pause", "open", "close", "the", "gripper", "up"]
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(tmp_path)
    options = EmbeddingOptions(checkpoint=str(tmp_path), min_similarity=0.99, margin=0.0)
    near = EmbeddingRewording(options)
    assert near.reword("slower").text == "slower"
    assert near.reword("open the gripper").text == "open the gripper"
    # How far it was meant is nothing that a nearest command could tell.
    assert near.reword("slower 3 cm") is None
    strict = EmbeddingRewording(EmbeddingOptions(checkpoint=str(tmp_path), margin=1.0))
    assert strict.reword("slower") is None


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.json"):
        EmbeddingRewording(EmbeddingOptions(checkpoint=str(tmp_path)))


def test_the_node_acts_on_it_in_the_persons_own_words(graph):
    with served.Server(served.slow(0.3, served.says("two centimetres higher"))) as server:
        world = World(graph, rewording="openai", openai__url=server.url)
        first = world.say("you are squashing the poor thing", answers=2)
        assert [c.kind for c in first] == ["unknown", "motion"]
        assert {c.text for c in first} == {"you are squashing the poor thing"}
        assert 'taking that as "two centimetres higher"' in first[1].answer
        assert first[1].confidence < 0.9
        graph.wait_for(lambda: world.motions, 5)
        assert world.motions[0][1].correction_id == first[1].correction_id
        # Whoever has said something else since then means that.
        kinds = [c.kind for c in world.say("you are still squashing it", answers=1)]
        kinds += [c.kind for c in world.say("slower", answers=1)]
        assert kinds == ["unknown", "speed"]
        graph.wait_for(lambda: any("too late" in m.message for _, m in world.status), 5)
        assert len(world.motions) == 1
