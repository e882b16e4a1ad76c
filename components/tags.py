"""Tags of the stack: who pays for a resource and who answers for it."""

from collections.abc import Mapping

import pulumi
from pulumi.runtime import register_stack_transformation


def tag_resources(tags: Mapping[str, str]) -> None:
    """Put tags on every Azure resource that can have some, from here on."""

    def with_tags(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        # the SDK has a property `tags` for exactly those types that Azure can tag
        if not args.type_.startswith("azure-native:") or "tags" not in args.props:
            return None
        return pulumi.ResourceTransformationResult({**args.props, "tags": tags}, args.opts)

    register_stack_transformation(with_tags)
