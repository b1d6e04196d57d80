"""What the timeline needs of Kubernetes objects; whatever else they hold is not decoded.

Room: record. Field names and defaults are the API's (core/v1, apps/v1, policy/v1,
discovery.k8s.io/v1, autoscaling/v2); it must not know what is made of them.
"""

import msgspec

from acpchaos.target.watching import Shape


class _Part(msgspec.Struct, rename="camel", gc=False):
    """Base of the parts of an object."""


class Condition(_Part):
    type: str = ""
    status: str = ""


class Probe(_Part):
    initial_delay_seconds: int = 0


class Container(_Part):
    readiness_probe: Probe | None = None


class ContainerStatus(_Part):
    restart_count: int = 0


class PodSpec(_Part):
    node_name: str = ""
    containers: list[Container] | None = None


class PodStatus(_Part):
    phase: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(Shape):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class NodeSpec(_Part):
    unschedulable: bool = False


class NodeStatus(_Part):
    conditions: list[Condition] | None = None


class Node(Shape):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Reference(_Part):
    name: str = ""


class EndpointConditions(_Part):
    ready: bool | None = None


class Endpoint(_Part):
    conditions: EndpointConditions | None = None
    target_ref: Reference | None = None


class EndpointSlice(Shape):
    endpoints: list[Endpoint] | None = None


class LeaseSpec(_Part):
    renew_time: str | None = None  # RFC 3339, by the kubelet's clock, to the microsecond


class Lease(Shape):
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


class Utilization(_Part):
    average_utilization: int | None = None


class Resource(_Part):
    name: str = ""
    target: Utilization | None = None
    current: Utilization | None = None


class Metric(_Part):
    type: str = ""
    resource: Resource | None = None


class Policy(_Part):
    type: str
    value: int
    period_seconds: int


class Rules(_Part):
    stabilization_window_seconds: int | None = None
    select_policy: str = "Max"
    policies: list[Policy] | None = None
    tolerance: str | float | None = None  # a quantity


class Behavior(_Part):
    scale_up: Rules | None = None
    scale_down: Rules | None = None


class AutoscalerSpec(_Part):
    min_replicas: int = 1
    max_replicas: int = 0
    metrics: list[Metric] | None = None
    behavior: Behavior | None = None


class AutoscalerStatus(_Part):
    current_replicas: int = 0
    desired_replicas: int = 0
    current_metrics: list[Metric] | None = None


class Autoscaler(Shape):
    spec: AutoscalerSpec = msgspec.field(default_factory=AutoscalerSpec)
    status: AutoscalerStatus = msgspec.field(default_factory=AutoscalerStatus)


class BudgetStatus(_Part):
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0


class DisruptionBudget(Shape):
    status: BudgetStatus = msgspec.field(default_factory=BudgetStatus)


class StatefulSetSpec(_Part):
    replicas: int = 1


class StatefulSetStatus(_Part):
    ready_replicas: int = 0
    updated_replicas: int = 0
    update_revision: str = ""


class StatefulSet(Shape):
    spec: StatefulSetSpec = msgspec.field(default_factory=StatefulSetSpec)
    status: StatefulSetStatus = msgspec.field(default_factory=StatefulSetStatus)


class Involved(_Part):
    kind: str = ""
    name: str = ""


class Series(_Part):
    count: int = 1
    last_observed_time: str | None = None


class ClusterEvent(Shape):
    involved_object: Involved = msgspec.field(default_factory=Involved)
    reason: str = ""
    type: str = ""
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None  # of those that new-style reporters write, with the series
    series: Series | None = None
