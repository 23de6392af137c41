"""Shows the plan of `embed`; progress and summary are those of `predict`."""

from tweetprofile.cli.console import CONSOLE
from tweetprofile.cli.predict_view import how, show_users
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.job import EmbedderFacts
from tweetprofile.plurals import count_of
from tweetprofile.predicting.embedding import EmbedPlan


def show_download(backbone: str | None, weights: str | None) -> None:
    """Say that the network is used, if weights come from the hub."""
    if weights is not None and weights.partition("@")[0] == "hub":
        CONSOLE.print(f"the weights of {backbone} come from the Hugging Face hub (huggingface.co)")


def show_plan(plan: EmbedPlan, engine: ShardEngine[EmbedderFacts]) -> None:
    """Show what will be done in two lines, after remarks on how the manifest was read."""
    show_users(plan, plan.out)
    facts = engine.facts
    CONSOLE.print(
        f"{facts.backbone} from {plan.origin}: {count_of(facts.features, 'number')} per "
        f"{plan.rows.per}, of up to {count_of(facts.size.frames, 'image')} of {facts.size.width} "
        f"x {facts.size.height} pixels; {how(engine)}",
    )
