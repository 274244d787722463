"""What the grounding films say: per domain some pictures, with what is said of the whole and of each region.

Plain words that the voice speaks one by one; no numerals. A region's sentence points ("look here", "this area"), a
medical one is of the whole picture, a lead-in announces a picture that is not yet on show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.schema import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One picture and what is said of it."""

    picture: str
    """Name in `tests.lectures.grounding.sources`."""
    medical: tuple[str, ...]
    regions: Mapping[str, str]
    """Region to its sentence."""
    lead: str


@dataclass(frozen=True, slots=True)
class Talk:
    """The words of one domain."""

    title: str
    lines: tuple[str, ...]
    """Of the slides, in any order."""
    subjects: tuple[Subject, ...]


GREETINGS = (
    "Hello everyone, and welcome back to this course.",
    "Good morning, and thank you for joining this lesson.",
    "Before we begin, please take a pen and some paper.",
    "Let us take a short break and think about what we have heard.",
    "You can find the notes below this video.",
    "Thank you for listening, and see you next time.",
)

TALKS: dict[Domain, Talk] = {
    Domain.CT: Talk("Reading a CT", ("Bone is bright", "Air is dark", "Fresh blood is bright", "Compare both sides"), (
        Subject(picture="ct_spine", lead="Next, a slice through the spine, with the canal.", medical=(
            "This is a CT slice through the spine, shown in the bone window.",
            "In the spine we check the bone, the canal, and the muscles behind it.",
        ), regions={
            "vertebral body": "Look here at the vertebral body, which has a thin bright shell of bone.",
            "spinal canal": "This round gray area is the spinal canal, and it is not narrow.",
            "spinous process": "Here the spinous process points backward, and we see no fracture.",
            "aorta": "This large round structure is the aorta, which lies in front of the spine.",
        }),
        Subject(picture="ct_head", lead="Next, a head slice of a patient with bleeding.", medical=(
            "This is a CT of the head without contrast, and the bone is white.",
            "In the head we always search for bleeding, swelling, and fractures of the skull.",
        ), regions={
            "hemorrhage": "Look here at this bright area, which is a fresh hemorrhage in the brain.",
            "ventricle": "This dark space is the ventricle, which is pushed a little to the side.",
            "skull": "Here the skull is thick and white, and it shows no fracture.",
        }),
        Subject(picture="ct_chest", lead="Now we move to the chest, where the lungs are dark.", medical=(
            "This slice through the chest shows both lungs, the heart, and the ribs.",
            "In the chest the lungs are dark because they contain air.",
        ), regions={
            "nodule": "Look here at this small nodule in the lung, which has a smooth border.",
            "heart": "This large gray structure is the heart, and its size is normal.",
            "aorta": "Here the aorta lies beside the spine, and its wall is thin.",
        }),
    )),
    Domain.MRI: Talk("Brain anatomy", ("Fluid is dark", "White matter is bright", "Three planes", "The midline"), (
        Subject(picture="brain_axial", lead="Next, an axial slice with the ventricles.", medical=(
            "This is an MRI of the brain in the axial plane, and both sides look alike.",
            "The axial plane shows the ventricles in the center and the cortex at the edge.",
        ), regions={
            "lateral ventricle": "Look here at the lateral ventricle, which is dark because it contains fluid.",
            "thalamus": "This large gray structure beside the midline is the thalamus.",
            "white matter": "Here the white matter is bright, and there is no sign of a tumor.",
        }),
        Subject(picture="brain_sagittal", lead="Now the same brain from the side, with the cerebellum.", medical=(
            "This view from the side shows the midline of the brain.",
            "From the side we can follow the brain stem down to the spine.",
        ), regions={
            "corpus callosum": "This bright curved band is the corpus callosum, which joins the two halves.",
            "brain stem": "Look here at the brain stem, where many nerves begin.",
            "cerebellum": "This area with many fine folds is the cerebellum.",
        }),
        Subject(picture="brain_coronal", lead="Next, the brain from the front, with the hippocampus.", medical=(
            "This coronal image shows the brain from the front.",
            "The coronal plane is the best one to judge the temporal lobes.",
        ), regions={
            "hippocampus": "Look here at the hippocampus, which is important for memory.",
            "third ventricle": "This thin dark line is the third ventricle, and it is not enlarged.",
        }),
        Subject(picture="mr_abdomen", lead="We leave the brain, and next we see the liver.", medical=(
            "This MRI shows the upper abdomen with the liver and both kidneys.",
            "In the abdomen contrast makes the kidneys and the vessels bright.",
        ), regions={
            "liver lesion": "Look here at this round lesion in the liver, which takes up little contrast.",
            "right kidney": "This area is the right kidney, whose cortex is very bright.",
            "aorta": "Here we see the aorta, round and bright in front of the spine.",
            "spleen": "This bright organ at the side is the spleen.",
        }),
    )),
    Domain.XRAY: Talk("Radiographs", ("Air is dark", "Bone is white", "Check every corner", "Old films help"), (
        Subject(picture="xray_chest", lead="Next, a chest radiograph with a shadow in the lung.", medical=(
            "This is a chest radiograph, taken from behind in deep inspiration.",
            "The chest radiograph shows the heart, the lungs, and the diaphragm.",
        ), regions={
            "opacity": "Look here at this white opacity, which is a sign of pneumonia.",
            "heart": "This shadow in the middle is the heart, and it is not enlarged.",
            "diaphragm": "Here the diaphragm is smooth, and the angle beside it is sharp.",
            "clavicle": "This thin bone is the clavicle, and we see no fracture.",
        }),
        Subject(picture="xray_skull", lead="Now we see the skull of another patient from the side.", medical=(
            "This radiograph shows the skull from the side.",
            "On the skull radiograph we follow the white line of the bone all around.",
        ), regions={
            "frontal bone": "Look here at the frontal bone, which is thick and bright.",
            "sella": "This small area near the center is the sella, where the pituitary lies.",
            "occipital bone": "Here at the back we see the occipital bone.",
        }),
        Subject(picture="xray_bone", lead="Next, the bone of the leg, with a fracture.", medical=(
            "This radiograph shows the two long bones of the lower leg.",
            "In the leg we look at the cortex of the bone from one end to the other.",
        ), regions={
            "fracture": "Look here at the dark line, which is a fracture of the bone.",
            "cortex": "This white border is the cortex of the bone.",
            "joint": "Here the joint space is wide and even.",
        }),
    )),
    Domain.HISTOPATHOLOGY: Talk("Glands", ("Low power first", "Glands and stroma", "Nuclei", "Stained brown"), (
        Subject(picture="tissue", lead="Next, a section of the colon, with its glands.", medical=(
            "This is a tissue section from the colon, seen at low power.",
            "The glands of the colon are stained brown, and the rest is blue.",
        ), regions={
            "large gland": "Look here at this large gland, which is stained brown.",
            "stroma": "This area between the glands is the connective tissue.",
            "round gland": "Here is a small round gland that was cut across.",
        }),
        Subject(picture="tissue_gland", lead="Now at higher power, the cells of one gland.", medical=(
            "At higher power we see the cells of one gland.",
            "The brown color shows the protein that the antibody has found in the gland.",
        ), regions={
            "lumen": "This white opening is the lumen of the gland.",
            "nuclei": "Look here at the blue nuclei, which are long and close together.",
        }),
        Subject(picture="tissue_stroma", lead="Next, the stroma with its immune cells.", medical=(
            "Now we see the stroma, which contains cells of the immune system.",
            "The stroma is blue because it does not carry the brown stain.",
        ), regions={
            "blue cells": "These small blue cells here are negative for the stain.",
            "gland edge": "Look here at the edge of the gland, where the tumor cells meet normal tissue.",
        }),
        Subject(picture="cell", lead="Now a single cell, seen without any stain.", medical=(
            "This is a single living cell, seen without any stain.",
            "Around the cell there is only clear fluid with some debris.",
        ), regions={
            "cell": "Look here at the cell, which is round and bright.",
            "debris": "This small dark spot is only debris in the fluid.",
        }),
    )),
    Domain.OPHTHALMOLOGY: Talk("The fundus", ("Start at the disc", "Follow the vessels", "End at the macula", "Red dots"), (
        Subject(picture="retina", lead="Next, the fundus of the other eye, with the macula.", medical=(
            "This is a photograph of the fundus, the back of the eye.",
            "The fundus shows the optic disc, the macula, and the vessels at one glance.",
        ), regions={
            "optic disc": "Look here at the optic disc, where the nerve leaves the eye.",
            "macula": "This darker area is the macula, the place of sharp vision.",
            "upper vessels": "Here the blood vessels of the retina make a wide curve.",
        }),
        Subject(picture="retina_disc", lead="Now we come closer to the optic nerve and its cup.", medical=(
            "In glaucoma the cup of the optic nerve becomes larger.",
            "This is the optic nerve at higher magnification, and its border is sharp.",
        ), regions={
            "cup": "Look here at the bright center, which is called the cup.",
            "lower vein": "This dark red vessel is a vein, and it is wider than the artery.",
        }),
        Subject(picture="retina_macula", lead="Next, the center of the macula.", medical=(
            "In the macula there is no bleeding, and there is no swelling.",
            "This is the macula of an older patient, and its color is even.",
        ), regions={"fovea": "Right here is the center of the macula, which has no vessels at all."}),
        Subject(picture="microaneurysms", lead="Now a patient with diabetes, with small dots.", medical=(
            "This patient has diabetes, and the retina shows several small dots.",
            "Small dots near the vessels are an early sign of diabetes.",
        ), regions={
            "microaneurysm": "Look here at this small dark dot, which is a microaneurysm.",
            "vessel": "This long thin line is a normal vessel.",
        }),
    )),
    Domain.ULTRASOUND: Talk("Ultrasound", ("Fluid is black", "Bone casts a shadow", "The best window", "Gain and depth"), (
        Subject(picture="heart_film", lead="Next, the beating heart with its chambers.", medical=(
            "This ultrasound shows the heart beating, seen from its apex.",
            "We see the chambers of the heart fill and empty again.",
        ), regions={
            "left ventricle": "Look here at the left ventricle, which contracts well.",
            "mitral valve": "This moving line is the mitral valve, which opens and closes.",
            "septum": "Here the septum is thick, and it moves inward.",
        }),
        Subject(picture="lymph_node", lead="Now a lymph node, with its blood flow in color.", medical=(
            "This is a lymph node, and the blood flow is shown in color.",
            "The lymph node is long and flat, which is a good sign.",
        ), regions={
            "blood flow": "Look here at the blood flow, which enters at the center of the node.",
            "cortex": "This dark rim is the cortex of the lymph node.",
        }),
        Subject(picture="sector_film", lead="Next, a vessel that moves with each beat.", medical=(
            "This ultrasound shows a vessel that becomes wider with each beat.",
            "Around the vessel the tissue moves a little at every beat.",
        ), regions={
            "vessel": "Look here at the vessel, which is black because it contains blood.",
            "plaque": "This bright area at the wall is a plaque, which casts a shadow.",
        }),
        Subject(picture="cyst", lead="Now a cyst, which is full of fluid.", medical=(
            "This still image shows a cyst in the liver.",
            "A simple cyst is black, round, and has a thin wall.",
        ), regions={
            "cyst": "Look here at the cyst, which contains only fluid.",
            "enhancement": "This bright area behind it is a sign of fluid as well.",
        }),
    )),
}  # fmt: skip
