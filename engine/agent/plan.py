"""What an assigned job means as a relay.  Pure.

The job's metadata is a `RelayRequest` in JSON; what it leaves out is this worker's default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from livekit.protocol import agent

from auralink.codecs.errors import InputError
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelaySettings
from auralink.engine.relay.job_values import JobSpec
from auralink.engine.relay.request import RelayRequest

# For what LiveKit makes a job, as commands and settings name it.
JOB_TYPES: Final[Mapping[str, agent.JobType]] = {
    "room": agent.JobType.JT_ROOM,
    "publisher": agent.JobType.JT_PUBLISHER,
    "participant": agent.JobType.JT_PARTICIPANT,
}
_ONE_PARTICIPANT: Final = (agent.JobType.JT_PUBLISHER, agent.JobType.JT_PARTICIPANT)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Attributes:
        access: of the server that assigns jobs.
        far: of the server where restored tracks appear; None: the same one.
        defaults: for what a job's metadata does not name.
        name: bots are called ``NAME-JOB-src`` and so on.
        tenant: whose jobs these are where LiveKit names no namespace.
    """

    access: Access
    far: Access | None = None
    defaults: RelayRequest
    name: str = "aic"
    tenant: str = ""

    def identity(self, job: agent.Job) -> str:
        """Of the bot that gets the job's token.

        A job whose metadata is wrong is accepted and then fails, for refusing it would only pass
        it on to the next worker and tell nobody.
        """
        try:
            return self._settings(job, self.access, "").first_identity
        except InputError:
            return self._name(job)

    def spec(self, assignment: agent.JobAssignment) -> JobSpec:
        """
        Raises:
            InputError: names what is wrong with the metadata.
        """
        job = assignment.job
        # Servers that are one node leave the address empty.
        access = replace(self.access, url=assignment.url) if assignment.url else self.access
        settings = self._settings(job, access, assignment.token)
        return JobSpec(settings=settings, tenant=job.namespace or self.tenant, label=job.room.name)

    def _settings(self, job: agent.Job, access: Access, token: str) -> RelaySettings:
        request = RelayRequest.parse(job.metadata, self.defaults)
        if job.type in _ONE_PARTICIPANT and job.participant.identity:
            request = request.model_copy(update={"only": [job.participant.identity]})
        near = Place(access=access, room=job.room.name)
        far = Place(access=self.far or access, room=job.room.name)
        return request.settings(near, far, name=self._name(job), token=token)

    def _name(self, job: agent.Job) -> str:
        return f"{self.name}-{job.id}"
