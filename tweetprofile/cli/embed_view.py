"""Shows the plan of `embed`; progress and summary are those of `predict`."""

from tweetprofile.cli.console import CONSOLE
from tweetprofile.cli.predict_view import how, show_users
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.job import EmbedderFacts
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
        f"{facts.backbone} from {plan.origin}: {facts.features:,} numbers per {plan.rows.per}, of "
        f"up to {facts.size.frames:,} images of {facts.size.width} x {facts.size.height} pixels; "
        f"{how(engine)}",
    )
