"""The tags of all resources: project, stack and owner."""

from collections.abc import Mapping

import pulumi
from pulumi.runtime import register_stack_transformation


def tag_resources(tags: Mapping[str, str]) -> None:
    """Add tags to every Azure resource that is created from now on and can have tags."""

    def with_tags(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        # the SDK has a property `tags` exactly for the types that Azure can tag
        if not args.type_.startswith("azure-native:") or "tags" not in args.props:
            return None
        return pulumi.ResourceTransformationResult({**args.props, "tags": tags}, args.opts)

    register_stack_transformation(with_tags)
