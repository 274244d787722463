import dataclasses
import math
from contextlib import nullcontext

import pytest

from pipelines import checks, recipes
from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.settings import all_settings, fingerprint, row_settings, with_settings


def test_set_changes_one_value_of_the_right_type() -> None:
    config = with_settings(recipes.starter(), ["probe.min_duration_s=30"])
    assert config.probe.min_duration_s == 30.0
    assert dataclasses.replace(config, probe=recipes.starter().probe) == recipes.starter()


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("probe.min_duration_s", "key=value"),
        ("probe.no_such=1", "probe.no_such"),
        ("probe=1", "probe"),
        ("recipe=hub", "recipe"),
        ("probe.min_duration_s=soon", "probe.min_duration_s"),
        ("probe.min_duration_s=9999", "probe.min_duration_s"),
        ("text.engine=magic", "text.engine"),
        ("text.dtype=foo", "text.dtype"),
        ("text.base_url=https://user:key@h/v1", "PRECEPTOR_TEXT_API_KEY"),
        ("text.base_url=https://h/v1?key=x", "PRECEPTOR_TEXT_API_KEY"),
        ("transcript.task=translate", "transcript.model"),
        ("resources.device=gpu", "resources.device"),
        ("resources.max_actor_deaths=0", "max_actor_deaths"),
        ("resources.deadline_base_s=-1", "deadline_base_s"),
        ("resources.write.concurrent_rows=0", "A pool"),
        ("clips.max_gap_s=nan", "clips.max_gap_s"),
        ("classifier.min_probability=1.5", "classifier.min_probability"),
        ("look.trace_width_px=0", "look.trace_width_px"),
        ("look.image_quality=101", "look.image_quality"),
        ("pointing.max_gap_s=0", "pointing.max_gap_s"),
        ("pointing.dwell_spread_share=-0.1", "pointing.dwell_spread_share"),
        ("pointing.min_moving_share=1.1", "pointing.min_moving_share"),
        ("pointing.also_share=-0.1", "pointing.also_share"),
        ("pointing.box_trim=50", "pointing.box_trim"),
        ("pointing.min_box_points=0", "pointing.min_box_points"),
    ],
)
def test_a_wrong_setting_is_named(assignment: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        with_settings(recipes.starter(), [assignment])


@pytest.mark.parametrize("assignment", ["resources.screen.max_size=4", "text.base_url=http://localhost:1/v1"])
def test_where_the_work_is_done_is_not_in_the_fingerprint(assignment: str) -> None:
    assert row_settings(with_settings(recipes.starter(), [assignment])) == row_settings(recipes.starter())


@pytest.mark.parametrize(
    "assignment",
    [
        "probe.min_duration_s=61",
        "classifier.domain_shares.ct=0.5",
        "text.min_support=0.5",
        "look.trace_width_px=640",
        "pointing.also_share=0.4",
    ],
)
def test_what_changes_rows_is_in_the_fingerprint(assignment: str) -> None:
    changed = row_settings(with_settings(recipes.starter(), [assignment]))
    assert fingerprint(changed) != fingerprint(row_settings(recipes.starter()))
    assert [k for k in changed if changed[k] != row_settings(recipes.starter())[k]] == [assignment.split("=")[0]]


def test_the_longest_video_is_screened_as_densely_as_a_short_one() -> None:
    config = recipes.starter()
    spacing_s = config.probe.max_duration_s / config.screen.max_frames
    assert spacing_s <= config.screen.interval_s <= config.narrative.streak_length * config.narrative.streak_interval_s


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_recipes_are_whole(name: str) -> None:
    config = recipes.recipe(name)
    assert isinstance(config, Config)
    assert config.recipe == name
    assert all_settings(config)


def test_settings_are_validated_together() -> None:
    config = with_settings(recipes.starter(), ["classifier.kind=open_clip", "classifier.model=a/b"])
    assert (config.classifier.kind, config.classifier.model) == ("open_clip", "a/b")


def test_unknown_recipe() -> None:
    with pytest.raises(UsageError, match="nonesuch"):
        recipes.recipe("nonesuch")


def test_the_hub_recipe_fits_one_gpu() -> None:
    pools = recipes.hub().resources
    assert 2 * pools.classify.num_gpus + pools.listen.num_gpus + pools.write.num_gpus <= 1.0
    assert pools.write.num_gpus >= recipes.hub().resources.gpu_memory_share


@pytest.mark.parametrize(("number", "good"), [(0.0, True), (1.0, True), (-0.01, False), (1.01, False), (math.nan, False)])
def test_a_share_lies_between_0_and_1(number: float, good: bool) -> None:
    with nullcontext() if good else pytest.raises(UsageError, match="some.key"):
        checks.share("some.key", number)


@pytest.mark.parametrize(
    ("number", "good"), [(0.1, True), (7, True), (0, False), (-1, False), (math.inf, False), (math.nan, False)]
)
def test_a_positive_number_is_finite(number: float, good: bool) -> None:
    with nullcontext() if good else pytest.raises(UsageError, match="some.key"):
        checks.positive("some.key", number)
