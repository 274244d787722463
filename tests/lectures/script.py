"""What the rendered lectures say and show: sentences, the picture of each scene, the region each sentence points at.

The sentences are plain medical English, chosen so that Whisper tiny.en hears them well when the hibari voice speaks.
"""

from dataclasses import dataclass, replace

from pipelines.schema import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One spoken sentence; the cursor rests within `region` (a name of the scene's picture) while it is spoken."""

    text: str
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One screen: a slide with a few words on it, or a picture in a viewer. It lasts as long as its sentences."""

    sentences: tuple[Sentence, ...]
    picture: str | None = None
    """Name in `tests.lectures.pictures`; None makes it a slide."""
    lines: tuple[str, ...] = ()
    """The slide's title and further lines."""
    min_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lecture:
    """A whole lecture. `sound` is `speech`, or `tones`: the same film with music-like tones and noise in its place."""

    name: str
    domain: Domain
    scenes: tuple[Scene, ...]
    sound: str = "speech"


def _slide(lines: tuple[str, ...], *texts: str) -> Scene:
    return Scene(lines=lines, sentences=tuple(Sentence(text=t) for t in texts), min_s=6.0)


def _scene(picture: str, *spoken: str | tuple[str, str]) -> Scene:
    """A picture scene; a pair is (region, text)."""
    sentences = (Sentence(text=s) if isinstance(s, str) else Sentence(text=s[1], region=s[0]) for s in spoken)
    return Scene(picture=picture, sentences=tuple(sentences))


MRI = Lecture(
    name="mri",
    domain=Domain.MRI,
    scenes=(
        _slide(
            ("Lesson 4", "Reading a scan", "step by step"),
            "Welcome back to our course.",
            "Today we will look at several pictures together, one step at a time.",
        ),
        _scene(
            "brain_axial",
            "This is an MRI of the brain in the axial plane.",
            ("lateral ventricle", "Look here at the lateral ventricle, which is dark because it contains fluid."),
            ("thalamus", "Just behind it we see the thalamus, a large gray structure near the midline."),
            ("white matter", "Here the white matter is bright, and there is no sign of a tumor."),
        ),
        _scene(
            "brain_sagittal",
            "Now we look at the brain from the side.",
            ("corpus callosum", "This bright curved band is the corpus callosum, which connects the two hemispheres."),
            ("brain stem", "Below it, look here at the brain stem."),
            ("cerebellum", "Behind the brain stem we find the cerebellum with its many fine folds."),
        ),
        _scene(
            "brain_coronal",
            "The next image shows the brain from the front.",
            ("hippocampus", "Look here at the hippocampus, which is important for memory."),
            "In Alzheimer's disease this region becomes smaller over time.",
            ("third ventricle", "In the middle, this thin dark line is the third ventricle, and it is not enlarged."),
        ),
        _scene(
            "brain_base",
            "Finally, we go down to the base of the brain.",
            ("pons", "This round structure in the center is the pons, a part of the brain stem."),
            ("fourth ventricle", "The small dark space behind it is the fourth ventricle."),
            ("temporal lobe", "On this side we see the temporal lobe, and its signal is normal."),
        ),
        _slide(("Thank you", "Questions?"), "Thank you for watching, and see you next time."),
    ),
)

MRI_PLANES = Lecture(
    name="mri_planes",
    domain=Domain.MRI,
    scenes=(
        _slide(
            ("Lesson 5", "Three views", "of one volume"),
            "Hello and welcome.",
            "In this lesson we will compare different views of the same volume.",
        ),
        _scene(
            "brain_coronal_front",
            "We start with an MRI of the brain seen from the front.",
            ("caudate nucleus", "Look here, this gray structure beside the ventricle is the caudate nucleus."),
            ("corpus callosum", "Above it, the corpus callosum crosses from one side to the other."),
            "In Huntington's disease the gray structure becomes smaller, and the ventricle becomes larger.",
        ),
        _scene(
            "brain_sagittal_side",
            "This is a view from the side, away from the midline.",
            ("cerebellum", "Look here at the cerebellum, which controls balance and movement."),
            ("frontal lobe", "At the front we see the frontal lobe with its folds."),
            ("occipital lobe", "At the back is the occipital lobe, which is important for vision."),
        ),
        _scene(
            "brain_axial_high",
            "Higher up, we see mostly cortex and white matter.",
            ("white matter", "This bright area is the white matter, and it is the same on both sides."),
            ("cortex", "The darker ribbon at the edge is the cortex of the brain."),
            "There is no bleeding, no swelling, and no mass in this patient.",
        ),
        _scene(
            "brain_sagittal",
            "Let us return to the midline for a moment.",
            ("pons", "Look here at the pons, which lies in front of the cerebellum."),
            ("corpus callosum", "The bright band above is the corpus callosum, and its shape is normal."),
        ),
        _slide(("That is all", "See you soon"), "That is all for today.", "Thank you for your attention."),
    ),
)

OPHTHALMOLOGY = Lecture(
    name="ophthalmology",
    domain=Domain.OPHTHALMOLOGY,
    scenes=(
        _slide(
            ("Lesson 7", "A closer look", "from the center outward"),
            "Hello everyone, and welcome to this lesson.",
            "We will look at one photograph very carefully.",
        ),
        _scene(
            "retina",
            "This is a photograph of the back of the eye, which is called the fundus.",
            ("optic disc", "Look here at the optic disc, where the optic nerve leaves the eye."),
            ("macula", "This darker spot in the center is the macula, the area of sharp vision."),
            ("upper vessels", "Above it, the blood vessels of the retina make a wide curve."),
        ),
        _scene(
            "retina_disc",
            "Now we zoom in on the optic nerve.",
            ("cup", "Look here at the bright center, which is called the cup."),
            "In glaucoma the cup becomes larger, and the patient loses vision at the side.",
            ("lower vein", "This dark red vessel is a vein, and it is wider than the artery."),
        ),
        _scene(
            "retina_macula",
            "Next, we look at the macula again.",
            ("fovea", "Right here is the center of the macula, and there are no blood vessels in it."),
            "There is no bleeding, and there is no swelling.",
            "In older patients, small yellow spots may appear in this area.",
        ),
        _scene(
            "retina_vessels",
            "Finally, let us follow the blood vessels.",
            ("vein", "Look here at this vein, which runs toward the edge of the retina."),
            "In patients with diabetes we often find small red dots near the vessels.",
            ("branch", "This thin branch is an artery, and its color is brighter."),
        ),
        _slide(("Summary", "Thank you"), "Thank you for listening.", "Please send us your questions."),
    ),
)

HISTOPATHOLOGY = Lecture(
    name="histopathology",
    domain=Domain.HISTOPATHOLOGY,
    scenes=(
        _slide(
            ("Lesson 9", "From far to near", "low power, high power"),
            "Good morning, and welcome.",
            "Today we move from far away to very close, and we talk about what we see.",
        ),
        _scene(
            "tissue",
            "This is a tissue section from the colon, seen under the microscope.",
            ("large gland", "Look here at this large gland, which is stained brown."),
            ("stroma", "Between the glands we see the connective tissue, which is blue and white."),
            ("round gland", "Down here is a small round gland that was cut across."),
        ),
        _scene(
            "tissue_gland",
            "At higher power we see the cells of one gland.",
            ("lumen", "This white opening in the middle is the lumen of the gland."),
            ("nuclei", "Look here at the blue nuclei, which are long and close together."),
            "The brown color shows the protein that the antibody has found.",
        ),
        _scene(
            "tissue_stroma",
            "Now we move to the connective tissue.",
            ("blue cells", "These small blue cells are not stained brown, so they are negative."),
            "Many of them are cells of the immune system.",
            ("gland edge", "Look here at the edge of the gland, where the tumor cells meet the normal tissue."),
        ),
        _scene(
            "tissue_round",
            "The last field shows the small round gland again.",
            ("center", "In the center, the cells point toward each other."),
            ("border", "At this border there is no sign of invasion."),
            "The pathologist must always compare this with the clinical history of the patient.",
        ),
        _slide(("The end", "Thank you"), "That was our lesson for today.", "Thank you, and goodbye."),
    ),
)

TALK = Lecture(
    name="talk",
    domain=Domain.NONMEDICAL,
    scenes=(
        _slide(
            ("My weekend", "coffee, cats", "and rockets"),
            "Hello everyone, and welcome to my channel.",
            "Today I want to tell you about my favorite things.",
        ),
        _scene(
            "coffee",
            "I always begin the morning with a good cup of coffee.",
            ("cup", "Look here at the red cup, which I bought at a small market."),
            ("spoon", "The spoon lies beside it, because I like a little sugar."),
            "The table is made of old wood, and it belonged to my grandmother.",
        ),
        _scene(
            "cat",
            "This is my cat, and she likes to sleep on the sofa all day.",
            ("eyes", "Look here at her green eyes, which follow every bird in the garden."),
            ("nose", "Her nose is pink, and it is always cold in the morning."),
        ),
        _scene(
            "motorcycle",
            "In the garage I keep my old motorcycle.",
            ("wheel", "Look here at the wheel, which I cleaned last weekend."),
            "In the summer we travel to the mountains and sleep in a tent.",
            ("engine", "The engine is very loud, so the neighbors do not like it."),
        ),
        _scene(
            "rocket",
            "Last year we traveled to the coast to watch a rocket.",
            "We packed some sandwiches and drove through the night.",
            ("rocket", "Look here, the rocket waits on the pad before the start."),
            "It was very early, and the sky was still dark.",
            ("towers", "These tall towers protect it from lightning."),
        ),
        _slide(("Thanks", "See you next week"), "Thank you for watching.", "Please tell me about your own weekend."),
    ),
)

LECTURES = {lecture.name: lecture for lecture in (MRI, MRI_PLANES, OPHTHALMOLOGY, HISTOPATHOLOGY, TALK)}


def silenced(lecture: Lecture) -> Lecture:
    """The same film with tones and noise in place of the voice."""
    return replace(lecture, name=f"{lecture.name}_tones", sound="tones")
