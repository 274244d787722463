import gzip
import io
import tarfile

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from pipelines import vocabulary
from pipelines.errors import UsageError
from pipelines.vocabulary import Vocabulary


@pytest.mark.parametrize("term", ["pneumonia", "Osteoarthritis", "cysts", "menisci", "bone neoplasms", "liver"])
def test_shipped_vocabulary_knows_terms(term):
    assert term in vocabulary.load()


@pytest.mark.parametrize("word", ["pnumonia", "the", "subscriber", "", "please like and subscribe", 7])
def test_shipped_vocabulary_does_not_know(word):
    assert word not in vocabulary.load()


def test_shipped_list_is_sorted_clean_and_small():
    terms = gzip.decompress(vocabulary.SHIPPED.read_bytes()).decode().split()
    lines = gzip.decompress(vocabulary.SHIPPED.read_bytes()).decode().splitlines()
    assert lines == sorted(set(lines))
    assert len(lines) > 20_000
    assert vocabulary.SHIPPED.stat().st_size < 500_000
    assert all(t[0].isalpha() and t[-1].isalpha() for t in terms)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [("pnumonia", "pneumonia"), ("oste arthritis", "osteoarthritis"), ("atelectesis", "atelectasis"),
     ("kneejoint", "knee joint")],
)  # fmt: skip
def test_nearest_finds_what_was_meant(heard, meant):
    best = vocabulary.load().nearest(heard)[0]
    assert best.term == meant
    assert best.similarity >= 0.9


def test_nearest_weighs_sound():
    words = Vocabulary(frozenset({"phlebitis", "flexibility"}))
    assert words.nearest("flebitis")[0].term == "phlebitis"
    assert words.nearest("flebitis")[0].similarity > 0.85  # sound alone is equal


def test_compounds_are_terms():
    words = vocabulary.load()
    assert words.is_compound("bronchogram")
    assert not words.is_compound("carcanoma")


def test_extra_file_adds_terms_and_changes_the_fingerprint(tmp_path):
    extra = tmp_path / "umls.txt"
    extra.write_text("Quokka  Sign\na phrase of four words\n", encoding="utf-8")
    loaded = vocabulary.load(str(extra))
    assert "quokka sign" in loaded
    assert "a phrase of four words" not in loaded
    assert vocabulary.fingerprint(str(extra)) != vocabulary.fingerprint()


def test_missing_extra_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="text.vocabulary"):
        vocabulary.load(str(tmp_path / "none.txt"))


def _sdist(folder, xml):
    path = folder / "records.tar.gz"
    data = gzip.compress(xml.encode())
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("p/data/a.xml.gz")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return path


def test_build_reads_headings_and_frequent_abstract_words(tmp_path):
    record = (
        "<PubmedArticle><ArticleTitle>T</ArticleTitle><AbstractText>{}</AbstractText>"
        "<DescriptorName>Neoplasms, Bone</DescriptorName><DescriptorName>Heart</DescriptorName>"
        "<DescriptorName>Far, Too, Inverted</DescriptorName></PubmedArticle>"
    )
    texts = ["the chondroblastoma because house"] * vocabulary.MIN_ABSTRACTS + ["a fibrosarcoma"]
    xml = "<S>" + "".join(record.format(t) for t in texts) + "</S>"
    out, again = tmp_path / "words.txt.gz", tmp_path / "again.txt.gz"
    arguments = ["vocabulary", "build", str(_sdist(tmp_path, xml)), "--out", str(out)]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    vocabulary.build(_sdist(tmp_path, xml), again)
    assert gzip.decompress(out.read_bytes()).decode().splitlines() == [
        "bone neoplasms", "chondroblastoma", "heart", "neoplasms",
    ]  # fmt: skip
    assert out.read_bytes() == again.read_bytes()


def test_build_refuses_a_package_without_records(tmp_path):
    with pytest.raises(UsageError, match="no PubMed records"):
        vocabulary.build(_sdist(tmp_path, "<S/>"), tmp_path / "o.gz")
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="not a source package"):
        vocabulary.build(tmp_path / "x.tar.gz", tmp_path / "o.gz")
