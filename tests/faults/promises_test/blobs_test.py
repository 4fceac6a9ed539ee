from promises.facts import CREATION, RETRY
from story import OUTPUT, PromiseTest, change


class BlobsTest(PromiseTest):
    def test_a_blob_is_corrupt(self):
        self.story.blobs[OUTPUT] = "f" * 64
        self.expect("artefacts_equal_their_digests")
        self.story.write("damage", blob=OUTPUT)
        self.expect("artefacts_equal_their_digests")  # what is damaged is refused, not handed out

    def test_a_blob_is_missing(self):
        self.story.blobs[OUTPUT] = ""
        self.expect("artefacts_equal_their_digests")

    def test_a_damaged_blob_may_be_missing(self):
        self.story.blobs[OUTPUT] = ""
        self.story.write("damage", blob=OUTPUT)
        self.story.call("read", result="refused", blob=OUTPUT, reason="BLOB_DAMAGED")
        self.expect()

    def test_a_blob_that_was_not_damaged_is_called_so(self):
        self.story.call("read", result="refused", blob=OUTPUT, reason="BLOB_DAMAGED")
        self.expect("damage_is_reported_as_damage")

    def test_a_client_reads_wrong_bytes(self):
        self.story.call("read", blob=OUTPUT, digest="f" * 64)
        self.expect("artefacts_equal_their_digests")

    def test_a_checkpoint_is_missing(self):
        self.story.call("read checkpoint", result="refused", blob=OUTPUT, reason="BLOB_NOT_FOUND")
        self.expect("artefacts_equal_their_digests")

    def test_only_what_no_job_names_may_be_collected(self):
        self.story.write("collection")
        self.story.call("upload", blob="tenants/default/blobs/b", size=1)
        self.assertEqual(self.story.violations(), [])
        self.story.blobs[OUTPUT] = ""
        self.expect("artefacts_equal_their_digests")

    def test_a_blob_was_not_looked_at(self):
        self.story.blobs.clear()
        self.expect("artefacts_equal_their_digests")

    def test_pictures_are_the_jobs(self):
        self.story.write("drawn", operation="d", uid="u", result="ok", state="JOB_STATE_SUCCEEDED",
                         pictures=[[OUTPUT, "0" * 64]])
        self.expect()

    def test_pictures_are_not_the_jobs(self):
        self.story.write("drawn", operation="d", uid="u", result="ok", state="JOB_STATE_SUCCEEDED", pictures=[])
        self.expect("pictures_come_from_jobs_that_succeeded")

    def test_a_drawing_ended_otherwise_than_its_job(self):
        self.story.write("drawn", operation="d", uid="u", result="ok", state="JOB_STATE_FAILED", pictures=[])
        self.expect("pictures_come_from_jobs_that_succeeded")

    def test_a_drawing_that_failed_may_be_retried(self):
        self.story.another_job("v", change(1, "-P", 0, CREATION), change(2, "PR"), change(3, "RF"), change(4, "FP", 1, RETRY),
                               change(5, "PR", 2), change(6, "RS", 2))
        self.story.write("drawn", operation="d", uid="v", result="ok", state="JOB_STATE_FAILED", pictures=[])
        self.assertNotIn("pictures_come_from_jobs_that_succeeded", self.story.violations())
