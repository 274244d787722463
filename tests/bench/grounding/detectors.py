"""PySceneDetect on the same files: the scene detectors that the published systems use."""

from pathlib import Path


def scene_cuts(path: Path, detector: str) -> tuple[float, ...]:
    """Cut times in seconds by `AdaptiveDetector` or `ContentDetector` with their default parameters.

    The frames come by its PyAV backend, whose times are presentation times; OpenCV's are frame numbers over a mean rate,
    which films of varying rate make useless.
    """
    import scenedetect

    video = scenedetect.open_video(str(path), backend="pyav")
    manager = scenedetect.SceneManager()
    manager.add_detector(getattr(scenedetect, detector)())
    manager.detect_scenes(video)
    return tuple(round(float(cut.seconds), 3) for cut in manager.get_cut_list(show_warning=False))
