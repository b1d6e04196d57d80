"""Which kinds a snapshot holds, and of which namespaces.

Room: posture. Tables only: what reads a cluster and what reads manifests share them.
"""

from typing import Literal

Where = Literal["cluster", "near", "own"]
# own: namespaces of ACP and its functions; near: these, the ingress controller's and kube-system
KINDS: dict[str, Where] = {
    "Namespace": "cluster", "Node": "cluster", "ClusterRole": "cluster",
    "ClusterRoleBinding": "cluster", "Role": "cluster", "RoleBinding": "cluster",
    "Deployment": "near", "StatefulSet": "near", "DaemonSet": "near", "Job": "near",
    "CronJob": "near", "Pod": "near", "Service": "near", "Ingress": "near",
    "NetworkPolicy": "near",
    "ConfigMap": "own", "ServiceAccount": "own",
}  # fmt: skip
_ADMIN, _GATEWAY = "policy.networking.k8s.io", "gateway.networking.k8s.io"
CUSTOM: dict[str, tuple[str, str, Where]] = {  # API group, plural, where
    "HTTPProxy": ("projectcontour.io", "httpproxies", "near"),
    "Certificate": ("cert-manager.io", "certificates", "near"),
    "SealedSecret": ("bitnami.com", "sealedsecrets", "own"),
    "ExternalSecret": ("external-secrets.io", "externalsecrets", "own"),
    "Kustomization": ("kustomize.toolkit.fluxcd.io", "kustomizations", "cluster"),
    "HelmRelease": ("helm.toolkit.fluxcd.io", "helmreleases", "cluster"),
    # policies beside NetworkPolicy; a kind that several makers use is named with its group
    "CiliumNetworkPolicy": ("cilium.io", "ciliumnetworkpolicies", "near"),
    "CiliumClusterwideNetworkPolicy":
        ("cilium.io", "ciliumclusterwidenetworkpolicies", "cluster"),
    "AdminNetworkPolicy": (_ADMIN, "adminnetworkpolicies", "cluster"),
    "BaselineAdminNetworkPolicy": (_ADMIN, "baselineadminnetworkpolicies", "cluster"),
    f"ClusterNetworkPolicy.{_ADMIN}": (_ADMIN, "clusternetworkpolicies", "cluster"),
    "NetworkPolicy.crd.projectcalico.org": ("crd.projectcalico.org", "networkpolicies", "near"),
    "GlobalNetworkPolicy.crd.projectcalico.org":
        ("crd.projectcalico.org", "globalnetworkpolicies", "cluster"),
    "NetworkPolicy.projectcalico.org": ("projectcalico.org", "networkpolicies", "near"),
    "GlobalNetworkPolicy.projectcalico.org":
        ("projectcalico.org", "globalnetworkpolicies", "cluster"),
    "NetworkPolicy.crd.antrea.io": ("crd.antrea.io", "networkpolicies", "near"),
    "ClusterNetworkPolicy.crd.antrea.io": ("crd.antrea.io", "clusternetworkpolicies", "cluster"),
    # ways in beside Ingress and HTTPProxy
    "HTTPRoute": (_GATEWAY, "httproutes", "own"), "GRPCRoute": (_GATEWAY, "grpcroutes", "own"),
    "TLSRoute": (_GATEWAY, "tlsroutes", "own"), "TCPRoute": (_GATEWAY, "tcproutes", "own"),
    "IngressRoute": ("traefik.io", "ingressroutes", "own"),
    "IngressRouteTCP": ("traefik.io", "ingressroutetcps", "own"),
    "VirtualService": ("networking.istio.io", "virtualservices", "own"),
    "Route": ("route.openshift.io", "routes", "own"),
}  # fmt: skip
