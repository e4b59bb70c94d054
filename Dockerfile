# One image for workers and operators' commands. The first stage has pip and the sources, the second only what they made.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN ["python", "-m", "venv", "/opt/venv"]
# The packages before the code: a changed line of code does not install them again.
COPY requirements.txt /src/
RUN ["/opt/venv/bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", "/src/requirements.txt"]
COPY pyproject.toml README.md LICENSE /src/
COPY killswitch /src/killswitch
COPY workers /src/workers
COPY ops /src/ops
RUN ["/opt/venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "/src"]

FROM python:3.13-slim
RUN ["useradd", "--uid", "10001", "--user-group", "--no-create-home", "--home-dir", "/tmp", "--shell", "/usr/sbin/nologin", "killswitch"]
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
CMD ["killswitch", "--help"]
