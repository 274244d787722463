import pytest

from pipelines.errors import UsageError
from pipelines.settings import all_settings, with_settings
from train import vlm_recipes
from train.config import LoraSettings, Rates, Stage
from train.parts import part, schedule
from train.run import with_sources, worker_range
from train.sources import parse


def test_the_published_recipes():
    hub = vlm_recipes.recipe("hub")
    (stage,) = hub.stages.values()
    assert (stage.batch_packs, stage.warmup, stage.schedule, hub.seed) == (64, 0.1, "cosine", 42)
    assert hub.data.max_tokens == 16_384
    assert (stage.rates.language, stage.rates.embeddings, hub.vision.video_max_tokens) == (1e-5, 0.0, 16_384)
    staged = vlm_recipes.recipe("staged")
    assert list(staged.stages) == ["projector", "images", "mixed", "video"]
    assert staged.stages["projector"].rates == Rates(projector=1e-3)
    video = staged.stages["video"]
    assert (video.lora.rank, video.lora.alpha, video.lora.dropout, video.rates.vision) == (128, 256, 0.05, 2e-6)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("stages.all.rates.language=-1", "rates.language"),
        ("stages.all.kinds=image,sound", "not 'sound'"),
        ("stages.all.tasks=captions", "not 'captions'"),
        ("stages.all.tasks=", "at least one of caption, question, conversation"),
        ("stages.all.schedule=linear", "cosine or constant"),
        ("stages.none.epochs=1", "no setting"),
        ("stages.all.epochs=0", "At least one stage"),
        ("stages.all.warmup=1", "warmup"),
        ("vision.min_side_px=50", "multiple of 28"),
        ("run.parallel=zero", "ddp or fsdp"),
        ("data.max_tokens=x", "max_tokens"),
        ("data.held_out_share=1", "held_out_share"),
        ("recipe=hub", "no setting"),
    ],
)
def test_wrong_settings_are_one_sentence(assignment, sentence):
    with pytest.raises(UsageError, match=sentence):
        with_settings(vlm_recipes.recipe("starter"), [assignment])


def test_settings_are_changed_and_listed():
    changed = with_settings(
        vlm_recipes.recipe("starter"), ["stages.all.kinds=image,video", "stages.all.lora.rank=8", "run.parallel=fsdp"]
    )
    assert changed.stages["all"].kinds == ("image", "video")
    assert all_settings(changed)["stages.all.lora.rank"] == "8"


def test_lora_and_trained_embeddings_exclude_each_other():
    with pytest.raises(UsageError, match="lora"):
        Stage(rates=Rates(language=1e-4, embeddings=1e-4), lora=LoraSettings(rank=8))
    with pytest.raises(UsageError, match="trains nothing"):
        Rates()


def test_sources_have_names_and_weights(tmp_path):
    first, second = parse([f"talks={tmp_path}/a", f"{tmp_path}/chat.json"])
    assert (first.name, second.name) == ("talks", "chat")
    with pytest.raises(UsageError, match="called 'a'"):
        parse(["x/a", "y/a"])
    config = vlm_recipes.recipe("starter")
    assert with_sources(config, [first, second]).stages["all"].weights == {"talks": 1.0, "chat": 1.0}
    weighed = with_sources(config, [first])
    halved = with_settings(weighed, ["stages.all.weights.talks=0.5"])
    assert halved.stages["all"].weights == {"talks": 0.5}
    with pytest.raises(UsageError, match="weighs 'talks'"):
        with_sources(halved, [second])


@pytest.mark.parametrize(("text", "expected"), [("1", (1, 1)), ("4", (4, 4)), ("2-8", (2, 8))])
def test_workers(text, expected):
    assert worker_range(text) == expected


@pytest.mark.parametrize("text", ["0", "8-2", "x", "-1", ""])
def test_wrong_workers(text):
    with pytest.raises(UsageError, match="--workers"):
        worker_range(text)


def test_the_rate_rises_then_falls():
    stage = Stage(warmup=0.1)
    rates = [schedule(i, 100, stage) for i in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001
    assert schedule(0, 1, Stage(warmup=0.0, schedule="constant")) == 1.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.visual.merger.mlp.0.weight", "projector"),
        ("model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("model.visual.patch_embed.proj.weight", "vision"),
        ("model.language_model.embed_tokens.weight", "embeddings"),
        ("lm_head.weight", "embeddings"),
        ("base_model.model.model.language_model.layers.1.mlp.up_proj.lora_A.default.weight", "language"),
        ("model.language_model.norm.weight", "language"),
    ],
)
def test_every_weight_has_a_part(name, expected):
    assert part(name) == expected
