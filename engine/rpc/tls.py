"""Server credentials of gRPC, made anew when the files do."""

import grpc

from auralink.engine.service.tls import Certificates, Material, TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """
    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """
    watch = Certificates(files, _configuration)
    return grpc.dynamic_ssl_server_credentials(
        watch.first,
        watch.changed,  # type: ignore[arg-type]  # None is allowed, the stubs do not know
        require_client_authentication=files.clients is not None,
    )


def _configuration(files: TlsFiles, material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.clients
    )
