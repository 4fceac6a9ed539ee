"""Objects that stand out in photos: photos are cut around them, and masked by them. The network finds what is red: it has the inputs and
outputs of a published U2-Net in one layer.
"""
import io
import json
import unittest

from PIL import Image

import service
from likeness.v1 import fine_tune_pb2
from networks import SIDE, finds_red
from service import State


def photo(size, box, background="gray"):
    """A red rectangle in a PNG."""
    image = Image.new("RGB", size, background)
    image.paste("red", box)
    return service.png(image)


class Objects(service.JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.service.models / "evaluators/segmenter"
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(finds_red())
        (folder / "config.json").write_text(json.dumps({"model_type": "u2net"}))
        cls.service.start_worker(name="sees-objects")
        cls.worker.terminate()  # found no network when it started
        probe = service.fine_tune_job(cls.photos)
        probe.fine_tune.training.predicted_masks = True
        service.wait_until(lambda: cls.service.refusal(probe) is None, what="a worker that sees objects")

    def learn(self, photos, masks=(), crop=fine_tune_pb2.SUBJECT_CROP_CENTER, **training):
        job = service.fine_tune_job(photos, steps=6, **training)
        job.fine_tune.training.seed = 5
        job.fine_tune.subjects[0].crop = crop
        for one, mask in zip(job.fine_tune.subjects[0].photos, masks):
            one.mask.inline = mask
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return done

    def weights(self, job):
        return self.service.outputs(job)["model/unet/diffusion_pytorch_model.safetensors"]

    def test_photos_are_cut_around_the_object(self):
        photos = [photo((640, 320), (400, 100, 500, 200)), photo((320, 640), (0, 500, 150, 640)), photo((400, 400), (0, 0, 0, 0))]
        done = self.learn(photos, crop=fine_tune_pb2.SUBJECT_CROP_OBJECT)
        learned = done.resolved.fine_tune.subjects[0].photos
        for one, (left, top) in zip(learned, ((395, 95), (0, 475))):
            self.assertAlmostEqual(one.crop_box.left, left, delta=4)
            self.assertAlmostEqual(one.crop_box.top, top, delta=4)
            self.assertEqual(one.crop_box.width, one.crop_box.height)
        self.assertAlmostEqual(learned[0].crop_box.width, 110, delta=4)
        self.assertAlmostEqual(learned[1].crop_box.width, 165, delta=4)
        self.assertFalse(learned[2].HasField("crop_box"))
        self.assertIn("photos[2]: nothing stands out; the square in the center is used", done.warnings)

    def test_photos_are_masked_by_the_object(self):
        size, box = (SIDE, SIDE), (64, 96, 224, 256)
        mask = Image.new("L", size)
        mask.paste(255, box)
        photos = [photo(size, box)] * 3
        predicted = self.learn(photos, predicted_masks=True)
        given = self.learn(photos, masks=[service.png(mask)] * 3)
        whole = self.learn(photos)
        self.assertEqual(self.weights(predicted), self.weights(given))
        self.assertNotEqual(self.weights(given), self.weights(whole))
        # A mask of one's own stays.
        black_but = Image.new("L", size)
        black_but.paste(255, (0, 0, 32, 32))
        own = [service.png(black_but)] * 3
        self.assertEqual(self.weights(self.learn(photos, masks=own, predicted_masks=True)), self.weights(self.learn(photos, masks=own)))

    def test_a_photo_in_which_nothing_stands_out_counts_whole(self):
        size = (SIDE, SIDE)
        photos = [photo(size, (0, 0, 0, 0))] * 3
        done = self.learn(photos, predicted_masks=True)
        self.assertIn("photos[1]: nothing stands out; the photo is learned from as a whole", done.warnings)
        self.assertEqual(self.weights(done), self.weights(self.learn(photos)))

    def test_cutting_and_masking_go_together(self):
        photos = [photo((640, 320), (400, 100, 500, 200))] * 3
        done = self.learn(photos, crop=fine_tune_pb2.SUBJECT_CROP_OBJECT, predicted_masks=True)
        # The same again, as a job that goes on does: the boxes are there from the start.
        again = service.fine_tune_job([], steps=6)
        again.fine_tune.CopyFrom(done.resolved.fine_tune)
        for one, bytes_of in zip(again.fine_tune.subjects[0].photos, photos):
            one.inline = bytes_of
        again.fine_tune.output_model_id = ""
        repeated = self.end(again)
        self.assertEqual(repeated.state, State.JOB_STATE_SUCCEEDED, repeated)
        self.assertEqual(self.weights(repeated), self.weights(done))

    def test_without_a_network_the_job_is_refused_at_once(self):
        other = service.Service()
        self.addCleanup(other.close)
        other.start_worker()
        other.wait_for_models()
        cut, masked = service.fine_tune_job(self.photos), service.fine_tune_job(self.photos)
        cut.fine_tune.subjects[0].crop = fine_tune_pb2.SUBJECT_CROP_OBJECT
        masked.fine_tune.training.predicted_masks = True
        for job, where in ((cut, "subjects[0].crop"), (masked, "training.predicted_masks")):
            refused = other.refusal(job)
            self.assertEqual(service.error_reason(refused), "NO_EVALUATORS")
            self.assertIn(f"segmentation network, which job.fine_tune.{where}", refused.details())

    def test_another_network_is_said_to_be_one(self):
        folder = self.service.models / "evaluators/segmenter"
        (folder / "model.onnx").write_bytes(b"no network")
        self.addCleanup((folder / "model.onnx").write_bytes, finds_red())
        job = service.fine_tune_job(self.photos, steps=1, predicted_masks=True)
        failed = self.end(job)
        self.assertEqual(failed.state, State.JOB_STATE_FAILED)
        self.assertIn('evaluator "segmenter": model.onnx is not an ONNX file', failed.error.message)


if __name__ == "__main__":
    unittest.main()
