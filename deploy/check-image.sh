#!/usr/bin/env bash
# Runs an image as it is meant to be run, with a read-only root and no rights: the demo, the service on what it made,
# the health check, and a stop that has to end with 0.   deploy/check-image.sh [IMAGE]
set -euo pipefail

image=${1:-kasparro:local}
container=
volume=$(docker volume create)
clean_up() {
  [ -z "$container" ] || docker rm --force "$container" >/dev/null
  docker volume rm "$volume" >/dev/null
}
trap clean_up EXIT
confined=(--read-only --cap-drop ALL --security-opt no-new-privileges --volume "$volume:/data")

docker run --rm "${confined[@]}" "$image" demo
container=$(docker run --detach --workdir /data/kasparro-demo "${confined[@]}" "$image")

state=starting
for _ in $(seq 60); do
  state=$(docker inspect --format '{{.State.Health.Status}}' "$container")
  [ "$state" = starting ] || break
  sleep 1
done
docker logs "$container"
[ "$state" = healthy ] || { echo "the container is $state after a minute" >&2; exit 1; }
docker exec "$container" kasparro healthcheck

docker stop --time 15 "$container" >/dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
[ "$code" = 0 ] || { echo "stopped, the container ended with $code instead of 0" >&2; exit 1; }
echo "$image runs, answers and stops"
