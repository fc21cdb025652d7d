# Sourced by the programs of this folder. Builds go to HB_TARGET, or to target/hbase of the repository.

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Internals of Java 17 that HBase and Hadoop access.
java_opens=()
for package in java.lang java.lang.reflect java.nio java.util java.util.concurrent jdk.internal.misc jdk.internal.ref sun.nio.ch; do
  java_opens+=(--add-opens "java.base/$package=ALL-UNNAMED")
done
java_opens+=(--add-opens java.security.jgss/sun.security.krb5=ALL-UNNAMED)

# Creates the folder NAME for a build, and sets `target` to its path.
# usage: use_target NAME
use_target() {
  local all=${HB_TARGET:-$interop/../target/hbase}
  mkdir -p "$all/$1"
  target=$(cd "$all/$1" && pwd)
}

# Compiles a Maven project if one of its sources is newer than the last build. Sets `class_path`. If flock
# exists, only one process compiles at a time.
# usage: build FOLDER NAME [MAVEN ARGUMENT...]
build() {
  local folder=$1 stamp
  use_target "$2"
  shift 2
  stamp=$target/classpath
  exec {build_lock}> "$target/lock"
  ! command -v flock >/dev/null || flock "$build_lock"
  if [ ! -s "$stamp" ] || [ -n "$(find "$folder/src" "$folder/pom.xml" -newer "$stamp" -print -quit)" ]; then
    mvn -q -B -Dstyle.color=never -f "$folder/pom.xml" -Dbuild.target="$target" "$@" compile \
      dependency:build-classpath -Dmdep.outputFile="$stamp.new" >&2
    mv "$stamp.new" "$stamp"
    touch "$stamp"
  fi
  exec {build_lock}>&-
  class_path=$target/classes:$(cat "$stamp")
}
