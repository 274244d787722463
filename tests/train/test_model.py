from train.model import from_anywhere


def test_a_folder_is_given_to_the_workers_under_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "FOLDER").mkdir()
    monkeypatch.chdir(tmp_path)
    assert from_anywhere("FOLDER") == str(tmp_path / "FOLDER")
    assert [from_anywhere(m) for m in ("starter", "Qwen/Qwen2-VL-2B-Instruct", "s3://bucket/model")] == [
        "starter", "Qwen/Qwen2-VL-2B-Instruct", "s3://bucket/model",
    ]  # fmt: skip
