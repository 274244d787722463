import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.evaluation.scorers import choice
from serve.evaluation.scorers.choice import LETTERS, choose

VALVES = ("Mitral valve", "Aortic valve", "Tricuspid valve", "Pulmonary valve")
MASSES = ("Small cyst", "Large mass", "Normal tissue", "No lesion")
BUGS = ("Staphylococcus aureus", "C. difficile", "E. coli", "B cell lymphoma", "Hepatitis E")
GRADES = ("Stenosis", "Aortic stenosis", "Severe aortic stenosis", "None of these")
SIZES = ("1 cm", "1.5 cm", "15 cm", "5 cm")
STATES = ("Normal", "Abnormal", "Indeterminate", "Not visible")


@pytest.mark.parametrize(
    ("reply", "options", "wanted"),
    [
        # plain choices
        ("B", VALVES, 1), ("b", VALVES, 1), ("B.", VALVES, 1), ("(B)", VALVES, 1), ("[B]", VALVES, 1),
        ("B)", VALVES, 1),
        ("**B**", VALVES, 1), ("`C`", VALVES, 2), ("B: Aortic valve", VALVES, 1), ("B. Aortic valve", VALVES, 1),
        ("B Aortic valve", VALVES, 1), ("Answer: B", VALVES, 1), ("The answer is B.", VALVES, 1),
        ("answer is (b)", VALVES, 1),
        ("The correct answer is **D**", VALVES, 3), ("Option C", VALVES, 2), ("Option (C) is correct.", VALVES, 2),
        ("\\boxed{D}", VALVES, 3), ('{"answer": "C"}', VALVES, 2), ("B\n\nBecause the leaflets are thick.", VALVES, 1),
        ("The film shows a valve.\nAnswer: C", VALVES, 2), ("Answer: A because of the leaflets", VALVES, 0),
        ("<think>Perhaps A.</think>B", VALVES, 1), ("I would choose (D).", VALVES, 3), ("Aortic valve", VALVES, 1),
        ("aortic valve.", VALVES, 1), ("It is the aortic valve that is calcified.", VALVES, 1),
        ("B) because it opens", VALVES, 1),
        ("A) is wrong because it closes; the answer is B", VALVES, 1), ("Answer: A. No wait.\nAnswer: B", VALVES, 1),
        ("B. Aortic valve\n\nQuestion: next one?\nAnswer: A", VALVES, 1),
        # the published fault: a word that begins with an option's letter
        ("Aortic valve is severely stenotic", VALVES, 1), ("Dilated aorta", VALVES, None),
        ("Calcified leaflets", VALVES, None),
        ("Atrial enlargement", VALVES, None), ("Before the scan nothing was seen", VALVES, None),
        # the article
        ("A large mass", MASSES, 1), ("A large mass is seen", MASSES, 1), ("a large mass", MASSES, 1),
        ("A tumour", MASSES, None),
        ("A patient with a tumour", MASSES, None), ("The answer is a large mass", MASSES, 1),
        ("Answer: A large mass", MASSES, 1), ("A", MASSES, 0), ("I see a tumour", MASSES, None),
        ("A 5 mm nodule", MASSES, None),
        # letters inside names
        ("E. coli", BUGS, 2), ("E. coli infection is likely", BUGS, 2), ("C. difficile", BUGS, 1),
        ("B cell lymphoma", BUGS, 3),
        ("Hepatitis E", BUGS, 4), ("C. tetani", BUGS, None), ("E. histolytica", BUGS, None),
        ("B-cells are increased", BUGS, None),
        ("Vitamin D deficiency", VALVES, None), ("D. B cell lymphoma", BUGS, 3), ("B", BUGS, 1),
        # one option inside another
        ("Aortic stenosis", GRADES, 1), ("Severe aortic stenosis", GRADES, 2),
        ("This is severe aortic stenosis.", GRADES, 2),
        ("There is stenosis", GRADES, 0), ("B. Aortic stenosis", GRADES, 1),
        # numbers
        ("1.5 cm", SIZES, 1), ("It measures 1.5 cm", SIZES, 1), ("About 15 cm", SIZES, 2), ("1 cm", SIZES, 0),
        # normal and abnormal, denials
        ("Normal", STATES, 0), ("Abnormal", STATES, 1), ("The study is abnormal.", STATES, 1),
        ("It is not normal", STATES, None),
        ("Not normal, rather indeterminate", STATES, 2), ("It cannot be normal; abnormal.", STATES, 1),
        ("Normal tissue", MASSES, 2), ("No lesion", MASSES, 3), ("No lesion is seen", MASSES, 3),
        # several, or a contradiction: no choice
        ("A, C", VALVES, None), ("A and B", VALVES, None), ("B or C", VALVES, None), ("A/B", VALVES, None),
        ("Answer: A and C", VALVES, None), ("A. Aortic valve", VALVES, None), ("Answer: C. Mitral valve", VALVES, None),
        ("Mitral valve and aortic valve", VALVES, None), ("Mitral valve or aortic valve", VALVES, None),
        ("Either (A) or (B)", VALVES, None), ("The answer is not B", VALVES, None),
        # nothing there
        ("", VALVES, None), ("   ", VALVES, None), ("I cannot see the picture.", VALVES, None), ("F", VALVES, None),
        ("E", VALVES, None), ("1", VALVES, None), ("As an AI model, I am not able to answer.", VALVES, None),
        ("All of the above", VALVES, None), ("Choose A, B, C, or D.", VALVES, None), ("...", VALVES, None),
    ],
)  # fmt: skip
def test_replies(reply, options, wanted):
    assert choose(reply, options) == wanted


GRAMMAR = {*choice._COMMON, *choice._DENIALS, *choice._CONNECTIVES, *choice._VERBS, *choice._TURNS,
           "answer", "option", "choice", "letter", "seen", "here"}  # fmt: skip
words = st.text(alphabet="bcdefghijklmnoqrstuvwxyz", min_size=4, max_size=9).filter(lambda w: w not in GRAMMAR)
option_sets = st.lists(words, min_size=2, max_size=6, unique=True)


@given(option_sets, st.data(), st.sampled_from(["{0}", "{0}.", "({0})", "**{0}**", "Answer: {0}", "{0}. {1}", "{0}) {1}",
                                               "The answer is {0}. {1}", "{1}", "{1}.", "The answer is {1}"]))  # fmt: skip
def test_every_plain_form_of_every_option_is_read(options, data, form):
    index = data.draw(st.integers(0, len(options) - 1))
    assert choose(form.format(LETTERS[index], options[index]), options) == index


@given(option_sets, words)
def test_a_word_is_never_a_letter(options, word):
    reply = f"{word.capitalize()} is seen here"
    expected = options.index(word) if word in options else None
    assert choose(reply, options) == expected


@given(st.text(max_size=80), option_sets)
def test_any_text_gives_an_option_or_none(reply, options):
    assert choose(reply, options) in (None, *range(len(options)))


@given(option_sets, st.data())
def test_two_options_are_no_choice(options, data):
    first, second = data.draw(st.permutations(range(len(options))))[:2]
    assert choose(f"{LETTERS[first]}. {options[second]}", options) is None
    assert choose(f"It is {options[first]} with {options[second]}", options) is None


LIST = "A. CT\nB. Ultrasound\nC. MRI\nD. X-ray"


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (LIST, None),
        (f"{LIST}\n\n{LIST}\n\nA. CT\nB", None),
        (f"{LIST}\n\nThe answer is C.", 2),
        ("C. MRI\n\nIt shows the brain in gray.", 2),
    ],
)
def test_the_options_over_again_are_no_choice(reply: str, wanted: int | None) -> None:
    assert choose(reply, ["CT", "Ultrasound", "MRI", "X-ray"]) == wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        # the answer is what is said to be it, not the option spoken of last
        ("The correct answer is C. MRI. Option A (CT) is incorrect because bone would be bright.", 2),
        ("The correct answer is **C. MRI**.\n\nOption D (X-ray) would show projection.", 2),
        ("The correct answer is C. MRI.\n\nOption A: CT would show bright bone.\nOption B: Ultrasound has speckle.", 2),
        ("The answer is C. Choice B is less likely.", 2),
        ("Option C is correct. Option A is not, because bone is bright.", 2),
        ("The answer is C, not option A.", 2),
        ("Answer: C\n\nExplanation: option A is unlikely because bone is dark.", 2),
        ("I would go with option C because the cortex is gray.", 2),
        ("Answer A is incorrect. The answer is C.", 2),
        ("A. CT is wrong: bone would be bright.", None),
        ("Either option A or option B", None),
        ("The answer is option A or option B.", None),
        ("Option A would show bone. Option B would show speckle.", None),
        # thoughts are not the answer, whoever opened them
        ("Option A: maybe. Or B.</think>\n\nC", 2),
        ("<think>Answer: A, or", None),
        # what is denied is not chosen
        ("CT is not shown here.", None), ("CT is not shown here; this is an MRI.", 2), ("(A) is wrong.", None),
        ("It is not (A).", None), ("(B) can be ruled out.", None), ("The answer is not (A).", None),
        ("It does not look like a CT.", None), ("It doesn't show a CT.", None), ("I don't think it is a CT.", None),
        ("I don\u2019t think it is a CT.", None), ("It is not a CT but an MRI.", 2), ("MRI, not CT", 2),
        ("CT can be ruled out, which leaves MRI.", 2),
    ],
)  # fmt: skip
def test_what_is_spoken_of_is_not_what_is_chosen(reply: str, wanted: int | None) -> None:
    assert choose(reply, ["CT", "Ultrasound", "MRI", "X-ray"]) == wanted


GERMS = ("Escherichia coli", "Klebsiella", "Salmonella", "Staphylococcus", "Enterococcus")


@pytest.mark.parametrize(
    ("reply", "options", "wanted"),
    [
        # a name's beginning is no letter
        ("The answer is E. coli.", GERMS, None), ("The correct answer is C. difficile infection.", GERMS, None),
        ("Answer: B. burgdorferi", GERMS, None), ("The answer is C. salmonella", GERMS, 2),
        ("The answer is C. because it grows", GERMS, 2), ("The answer is C.", GERMS, 2),
        # what is denied, however far before or behind
        ("No evidence of a pericardial effusion", ("Pericardial effusion", "Mass"), None),
        ("There is no evidence of mass or effusion", ("Effusion", "Fracture"), None),
        ("mild regurgitation is not present", ("Mild", "Severe"), None), ("The mass is absent", ("Mass", "Cyst"), None),
        ("absence of a mass", ("Mass", "Cyst"), None), ("No fracture is seen in the cyst", ("Fracture", "Cyst"), 1),
        ("Without contrast the best is CT", ("CT", "MRI"), 0), ("mild regurgitation is seen", ("Mild", "Severe"), 0),
        ("The mild one, and severe is wrong", ("Mild", "Severe"), 0),
        ("mild while severe is not seen", ("Mild", "Severe"), 0),
        # options that are letters
        ("C", ("B", "C", "D", "E"), 2), ("The answer is C.", ("B", "C", "D", "E"), 2), ("B", ("B", "C", "D", "E"), 1),
        ("AB", ("A", "B", "AB", "O"), 2), ("O", ("A", "B", "AB", "O"), 3),
        # marks around the answer
        ("\\boxed{\\text{B}}", GERMS, 1), ("<answer>B</answer>", GERMS, 1), ("#### B", GERMS, 1),
        ("B is the correct answer.", GERMS, 1), ("B is correct", GERMS, 1), ("B is not correct", GERMS, None),
        ("A is correct", GERMS, 0), ("A patient is right", GERMS, None),
        # an option that begins as a second letter does
        ("The answer is option D, A history of stroke.", ("Age", "Sex", "Smoking", "A history of stroke"), 3),
        ("D, A history of stroke", ("Age", "Sex", "Smoking", "A history of stroke"), 3), ("D, A", GERMS, None),
    ],
)  # fmt: skip
def test_the_traps_of_replies_as_models_give_them(reply: str, options: tuple[str, ...], wanted: int | None) -> None:
    assert choose(reply, options) == wanted


CHEST = ("Pneumonia", "Pneumothorax", "Effusion", "Mass")
DRUGS = ("Doxycycline", "Nitrofurantoin", "Ampicillin", "Ceftriaxone")
STATES_OF_FLOW = ("Normal flow", "Reversed flow", "Absent diastolic flow in the artery")


@pytest.mark.parametrize(
    ("reply", "options", "wanted"),
    [
        # a letter and its reason, in small letters
        ("The answer is B. there is blunting of the costophrenic angle.", CHEST, 1),
        ("The answer is B. fluid in the pleural space.", CHEST, 1), ("**Answer: B. fluid layering posteriorly**", CHEST, 1),
        ("The correct answer is **C**. air outlines the lung", CHEST, 2),
        ("Answer: C. no lung markings are seen.", CHEST, 2),
        ("Answer: A. aortic", ("Aortic valve", "Mitral valve"), 0),
        ("The answer is A. left ventricle", ("Left ventricle (LV)", "Right ventricle"), 0),
        ("Answer: A. doxycyclin", DRUGS, 0),
        # one letter is praised, another is the answer
        ("A is the most common choice in adults. In pregnancy I would choose (B).", DRUGS, 1),
        ("A is the best for gonorrhea, but in pregnancy one should use nitrofurantoin.", DRUGS, 1),
        ("A is the most potent but nitrofurantoin is preferred", DRUGS, 1), ("A is best avoided here; (B) it is.", DRUGS, 1),
        ("C is most clearly contraindicated. Nitrofurantoin is preferred.", DRUGS, 1),
        ("B is the most likely answer because of the rash", DRUGS, 1), ("C is right.", DRUGS, 2),
        # a sign that is absent speaks for an answer
        ("The absence of lung markings suggests pneumothorax.", CHEST, 1), ("No doubt this represents pneumonia.", CHEST, 0),
        ("Absent breath sounds suggest pneumothorax.", CHEST, 1), ("With no allergy I recommend ampicillin.", DRUGS, 2),
        ("There are no lung markings peripheral to the line suggesting pneumothorax.", CHEST, 1),
        ("In the absence of allergy use ampicillin.", DRUGS, 2), ("There is no better drug than nitrofurantoin.", DRUGS, 1),
        ("C) Absent lung markings beyond a visible pleural line.", CHEST, 2),
        ("C. Absence of lung markings is typical.", CHEST, 2), ("C. Absent diastolic flow", STATES_OF_FLOW, 2),
        ("The severity is moderate but not severe.", ("Mild", "Moderate", "Severe"), 1),
        ("There is moderate regurgitation but not severe.", ("Mild", "Moderate", "Severe"), 1),
        ("A left pleural effusion that is not loculated.", ("Pleural effusion", "Empyema"), 0),
        ("The pneumothorax seen is not under tension.", CHEST, 1),
        ("The ECG shows absence of P waves and ST elevation.", ("P waves", "ST elevation"), None),
    ],
)  # fmt: skip
def test_reasons_are_no_denials_and_praise_is_no_answer(reply: str, options: tuple[str, ...], wanted: int | None) -> None:
    assert choose(reply, options) == wanted
