# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from capture_proc.camera import CameraWishes, NeverWorksError, NoCameraError
from capture_proc.cameras.replay import JpegFolderCamera, VideoCamera, open_replay
from capture_proc.jpeg import to_jpeg
from tests.fakes import FakeClock, jpeg_of, noise
from tests.footage import PEDESTRIANS, PEDESTRIANS_FPS, PEDESTRIANS_FRAMES, PEDESTRIANS_SIZE


def _folder(path: Path, *jpegs: bytes) -> Path:
    for number, jpeg in enumerate(jpegs):
        (path / f"{number:03d}.jpg").write_bytes(jpeg)
    (path / "notes.txt").write_text("not a picture")
    return path


def test_a_folder_is_replayed_byte_for_byte_and_in_a_loop(tmp_path: Path) -> None:
    jpegs = [jpeg_of(noise(seed=seed)) for seed in range(3)]
    camera = JpegFolderCamera(_folder(tmp_path, *jpegs), CameraWishes(), FakeClock())
    shown = [camera.next_picture(1) for _ in range(5)]
    assert [picture.pixels for picture in shown if picture] == [*jpegs, jpegs[0], jpegs[1]]
    assert camera.period_s == 1 / 20


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([b""], "000.jpg: expected a JPEG, got 0 bytes"),
        ([jpeg_of(noise())[:900]], "000.jpg: the JPEG is truncated"),
    ],
)
def test_a_folder_with_nothing_to_show_is_told(tmp_path: Path, files: list[bytes], sentence: str) -> None:
    with pytest.raises(NeverWorksError, match=sentence):
        JpegFolderCamera(_folder(tmp_path, *files), CameraWishes())


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("later.avi", "no such file or folder, or it may not be read; check its name"),
        ("x" * 300 + "/later.avi", "no such file or folder"),
        ("", "expected files ending in .jpg or .jpeg in this folder, found none"),
    ],
    ids=["file", "long", "mount point"],
)
def test_footage_on_a_disk_that_is_mounted_later_is_waited_for(
    tmp_path: Path, path: str, sentence: str
) -> None:
    """It ended the service for good, at every boot."""
    with pytest.raises(NoCameraError, match=sentence):
        open_replay(CameraWishes(id=f"{tmp_path}/{path}"))


def test_a_video_that_is_gone_when_it_begins_again_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "gone.avi"
    file.write_bytes(PEDESTRIANS.read_bytes())
    camera = VideoCamera(file, CameraWishes(size=(32, 24)), FakeClock())
    file.unlink()
    for _ in range(PEDESTRIANS_FRAMES):
        camera.next_picture(1)
    with pytest.raises(NoCameraError, match=r"gone\.avi: No such file"):
        camera.next_picture(1)


def test_a_size_for_jpegs_that_are_not_encoded_again_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, jpeg_of(noise()))
    JpegFolderCamera(folder, CameraWishes(size=(64, 48)))
    with pytest.raises(NeverWorksError, match="are 64x48 and are not encoded again"):
        JpegFolderCamera(folder, CameraWishes(size=(640, 480)))


def test_a_video_plays_at_its_own_rate_and_size() -> None:
    camera = VideoCamera(PEDESTRIANS, CameraWishes(), FakeClock())
    assert camera.period_s == 1 / PEDESTRIANS_FPS
    picture = camera.next_picture(1)
    assert picture is not None
    assert to_jpeg(picture.pixels, 80).size == PEDESTRIANS_SIZE
    camera.close()


def test_a_video_has_the_colours_that_its_player_shows() -> None:
    """Video is mostly limited-range and JPEG is not: without the conversion black is grey."""
    camera = VideoCamera(PEDESTRIANS, CameraWishes(), FakeClock())
    picture = camera.next_picture(1)
    assert picture is not None
    shown = simplejpeg.decode_jpeg(to_jpeg(picture.pixels, 95).jpeg).astype(int)
    with av.open(str(PEDESTRIANS)) as container:
        meant = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown - meant).mean() < 3
    assert abs(shown.mean() - meant.mean()) < 1


def test_a_video_begins_again_at_its_end() -> None:
    camera = VideoCamera(PEDESTRIANS, CameraWishes(size=(32, 24)), FakeClock())
    shown = [camera.next_picture(1) for _ in range(PEDESTRIANS_FRAMES + 1)]
    jpegs = [to_jpeg(picture.pixels, 80) for picture in shown if picture]
    assert len(jpegs) == PEDESTRIANS_FRAMES + 1
    assert jpegs[0] == jpegs[-1]
    assert jpegs[0] != jpegs[1]
    assert jpegs[0].size == (32, 24)


def test_a_rate_that_was_asked_for_wins() -> None:
    assert VideoCamera(PEDESTRIANS, CameraWishes(fps=25)).period_s == 1 / 25


@pytest.mark.parametrize("content", [b"", b"RIFF but no video", jpeg_of(noise())[:100]])
def test_a_file_that_cannot_be_decoded_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.avi"
    file.write_bytes(content)
    with pytest.raises(NeverWorksError, match="expected a video file, but it cannot be decoded"):
        VideoCamera(file, CameraWishes())
